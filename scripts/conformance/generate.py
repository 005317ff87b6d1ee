"""Makes the conformance cases: what each aten overload gives in PyTorch, for many arguments.

usage: python generate.py FOLDER [--seed N] [--only TEXT] [--most N] [--jobs N] [--again] [--resume]

Works in child processes, because some calls crash libtorch: a call that killed its process is left out
and named in FOLDER/summary.json, which says for each overload what was tried. --again keeps the calls that
were harvested before; --resume goes on where a run with the same seed was stopped; --only takes the overloads whose names contain TEXT. Another --seed draws other samples, values,
made-up arguments and, of the calls that were found, others.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import traceback
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

try:
    from torch.testing._internal.common_methods_invocations import op_db
except ModuleNotFoundError as error:
    sys.exit(f"PyTorch's operator database needs the package {error.name}: {sys.executable} -m pip install {error.name}")

import arguments
import evaluate
import frames
import handwritten
import schemas
from harvest import harvest, kind

# As the addon has it: sparse tensors whose indices lead out of them are made by neither.
torch.sparse.check_sparse_tensor_invariants.enable()

HARVEST_CHUNK = 60
GROUP_CALLS = 5000  # calls per group of families
EXCLUDED = {}  # overload to parts of a source, of excluded.json
for entry in json.loads(Path(__file__).with_name("excluded.json").read_text()):
    for excluded in entry["overloads"]:
        EXCLUDED.setdefault(excluded, []).append(entry["source"])
SLOWEST = 20  # seconds for one call; a longer one counts as a crash
PER_KIND = 2
MOST_TRIES = 60
MADE_UP_TRIES = 150
MOST_CRASHES = 4
TIMEOUT = 3600


def spawn(arguments, timeout=TIMEOUT):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore",
                   # A thread's own cache of small pieces would hand out memory without M_PERTURB's garbage.
                   "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
    try:
        return subprocess.run([sys.executable, __file__, *arguments], env=environment, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(arguments, -1, "", "timeout")


def harvest_chunk(folder, chunk, seed):
    torch.set_num_threads(1)
    indices = range(chunk * HARVEST_CHUNK, min((chunk + 1) * HARVEST_CHUNK, len(op_db)))
    path = folder / f"harvest-{chunk}.pt"
    torch.save(harvest(indices, 14, seed), path.with_suffix(".part"))
    path.with_suffix(".part").rename(path)


def drawn(seed, text):
    return random.Random(zlib.crc32(f"{seed} {text}".encode()))


def group(folder, most, seed):
    """Sorts the harvested calls by family into files of moderate size."""
    families = {}
    for name in schemas.overload_names():
        families.setdefault(schemas.family(name), {"names": [], "calls": []})["names"].append(name)
    seen = {}
    per_name = {}

    def keep(call):
        name, args, kwargs, _ = call
        key = (name, repr((kind(list(args)), sorted((k, kind(v)) for k, v in kwargs.items()))))
        seen[key] = seen.get(key, 0) + 1
        if seen[key] > PER_KIND:
            return
        per_name[name] = per_name.get(name, 0) + 1
        families[schemas.family(name)]["calls"].append(call)

    for path in sorted(folder.glob("harvest-*.pt")):
        for call in torch.load(path, weights_only=False):
            keep(call)
    groups, current, weight = [], {}, 0
    for family, content in families.items():
        # An even choice over all that was recorded for one overload.
        kept = []
        for name in content["names"]:
            mine = [call for call in content["calls"] if call[0] == name]
            drawn(seed, name).shuffle(mine)
            kept += mine[: most * 4]
        current[family] = {"names": content["names"], "calls": kept}
        weight += len(kept) + 20 * len(content["names"])
        if weight > GROUP_CALLS:
            groups.append(current)
            current, weight = {}, 0
    groups.append(current)
    for old in folder.glob("group-*.pt"):
        old.unlink()
    for index, content in enumerate(groups):
        torch.save(content, folder / f"group-{index}.pt")
    return len(groups)


def cases_of(name, calls, most, seed, skip, progress, out):
    """Writes up to `most` cases of one overload; returns what came of the tries."""
    tally = {"cases": 0, "determined": 0, "refused": [], "crashed": sorted(skip), "undetermined": 0}
    seen = {}
    refusals = {}
    refused = []
    source_of = arguments.functional(name)
    has_outputs = any(argument.is_out for argument in schemas.schema(name).arguments)

    def tries():
        for bound, source in arguments.from_calls(name, calls):
            yield bound, source
        for index in range(MADE_UP_TRIES):
            yield {}, f"made up {index}"

    given = 0
    for attempt, (bound, source) in enumerate(tries()):
        made_up = source.startswith("made up")
        if tally["cases"] >= most or (made_up and tally["determined"] >= 4):
            break
        if given >= MOST_TRIES and not made_up:
            continue
        if len(skip) >= MOST_CRASHES and made_up:
            break
        if attempt in skip or any(part in source for part in EXCLUDED.get(name, [])):
            continue
        os.pwrite(progress, str(attempt).encode().ljust(8), 0)
        signal.alarm(SLOWEST)
        seeded = drawn(seed, f"{name} {attempt}")
        torch.manual_seed(seed * 1000 + attempt)
        try:
            full = arguments.complete(name, bound, seeded)
            key = arguments.call_kind(full)
            if seen.get(key, 0) >= (1 if not has_outputs else 2):
                continue
            full = arguments.with_outputs(name, full, attempt % 3, seeded, source_of)
        except Exception as error:
            refusals.setdefault(str(error)[:200], source)
            continue
        given += 1
        try:
            header, body = evaluate.case(name, full, source)
        except evaluate.Refused as error:
            refusals.setdefault(str(error)[:300], source)
            if len(refused) < 3:
                refused.append(frames.frame(error.header | {"refused": str(error)[:300]}, error.body))
            continue
        except frames.Unsupported as error:
            refusals.setdefault(f"unsupported: {error}", source)
            continue
        except Exception as error:
            refusals.setdefault(f"{type(error).__name__}: {error}"[:300], source)
            continue
        data = frames.frame(header, body)
        if len(data) > 200_000:
            continue
        seen[key] = seen.get(key, 0) + 1
        out.write(data)
        tally["cases"] += 1
        tally["determined" if header["determined"] else "undetermined"] += 1
    for data in refused:
        out.write(data)
    tally["refused"] = list(refusals)[:6]
    return tally


def in_child(work):
    """Runs `work` in a fork of this process; whether it came to its end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise RuntimeError("a child failed; its traceback is above")
    return not os.WIFSIGNALED(status)


def cases_group(folder, index, most, seed, only):
    """The cases of a group, each overload in a process of its own, started anew without the try that killed it."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    group = torch.load(folder / f"group-{index}.pt", weights_only=False)
    # Not in the group's file: an mkldnn tensor cannot be written to one.
    for call in handwritten.calls():
        family = group.get(schemas.family(call[0]))
        if family is not None:
            family["calls"].insert(0, call)
    tallies = {}
    progress_path, tally_path, piece = (folder / f"{kind}-{index}" for kind in ("progress", "tally", "piece"))
    progress = os.open(progress_path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    with open(folder / f"cases-{index}.bin", "wb") as out:
        for content in group.values():
            for name in content["names"]:
                if only and only not in name:
                    continue
                skip = set()

                def work():
                    with open(piece, "wb") as file:
                        tally_path.write_text(json.dumps(cases_of(name, content["calls"], most, seed, skip, progress, file)))

                while not in_child(work):
                    skip.add(int(os.pread(progress, 8, 0)))
                tallies[name] = json.loads(tally_path.read_text())
                out.write(piece.read_bytes())
    for path in (progress_path, tally_path, piece):
        path.unlink()
    summary(folder, index).write_text(json.dumps(tallies))


def summary(folder, index):
    """What came of a group. It is there from the group's end to that of the whole run."""
    return folder / f"summary-{index}.json"


def make_cases(folder, index, most, seed, only):
    if not summary(folder, index).exists():
        done = spawn([str(folder), "--most", str(most), "--seed", str(seed), "--group", str(index), *(["--only", only] if only else [])])
        if done.returncode != 0:
            raise RuntimeError(f"group {index}: {done.stderr[-3000:]}")
    tallies = json.loads(summary(folder, index).read_text())
    crashes = sum(len(tally["crashed"]) for tally in tallies.values())
    cases = sum(tally["cases"] for tally in tallies.values())
    print(f"group {index}: {len(tallies)} overloads, {cases} cases, {crashes} calls that kill libtorch", flush=True)
    return tallies


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--only")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--harvest", type=int)
    parser.add_argument("--group", type=int)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.harvest is not None:
        return harvest_chunk(options.folder, options.harvest, options.seed)
    if options.group is not None:
        return cases_group(options.folder, options.group, options.most, options.seed, options.only)
    settings = {name: getattr(options, name) for name in ("seed", "most", "only")}
    begun = options.folder / "begun.json"
    if options.resume and begun.exists() and json.loads(begun.read_text()) != settings:
        sys.exit(f"--resume: {options.folder} was begun with {begun.read_text()}, not {json.dumps(settings)}")
    if not options.resume:
        for old in options.folder.glob("summary-*.json"):
            old.unlink()
    begun.write_text(json.dumps(settings))
    with ThreadPoolExecutor(options.jobs) as pool:
        def kept(chunk):
            return options.again or (options.resume and (options.folder / f"harvest-{chunk}.pt").exists())

        chunks = [k for k in range(-(-len(op_db) // HARVEST_CHUNK)) if not kept(k)]
        for chunk, done in zip(chunks, pool.map(lambda k: spawn([str(options.folder), "--seed", str(options.seed), "--harvest", str(k)]), chunks)):
            print(f"harvest {chunk}: status {done.returncode} {done.stderr[-300:] if done.returncode else ''}", flush=True)
        groups = group(options.folder, options.most, options.seed)
        tallies = {}
        for some in pool.map(lambda k: make_cases(options.folder, k, options.most, options.seed, options.only), range(groups)):
            tallies |= some
    (options.folder / "summary.json").write_text(json.dumps(tallies, indent=1))
    for path in (begun, *(summary(options.folder, k) for k in range(groups))):
        path.unlink()
    tested = sum(tally["determined"] > 0 for tally in tallies.values())
    print(f"{len(tallies)} overloads, {tested} with results to compare, {sum(t['cases'] for t in tallies.values())} cases")


if __name__ == "__main__":
    main()
