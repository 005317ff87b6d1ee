"""Unpacks the parts of wheels (or of an official libtorch zip) that a C++ program needs into TARGET/torch, and
into TARGET/nvidia for the CUDA libraries beside it. Python, because Node has no unzip of its own and pip is
there anyway. Reads a JSON plan on standard input, prints progress lines 'done total' and fails with one sentence.
"""

import json
import shutil
import stat
import sys
import zipfile
from pathlib import Path, PurePosixPath

# A wheel of torch holds much that only Python reads; these are what CMake, the compiler and the loader read.
TORCH_PARTS = ("lib", "include", "share")
TORCH_FILES = ("version.py", "build-version", "build-hash")
# Test libraries and the Python half weigh tens of MB and are not linked.
UNNEEDED = ("libtorch_python.", "libtorchbind_test.", "libjitbackend_test.", "libbackend_with_compiler.", "libaoti_custom_ops.")
MAX_TOTAL = 32 * 2**30


class Refused(Exception):
    """The archive is not what it should be; the text says why."""


def destination(name):
    """Where a member of the archive belongs below the target, or None for those that are not needed."""
    if "\\" in name or "\0" in name or name.startswith("/"):
        raise Refused(f"it has a member with an unsafe name: {name!r}")
    parts = PurePosixPath(name).parts
    if ".." in parts or any(":" in part for part in parts):
        raise Refused(f"it has a member with an unsafe name: {name!r}")
    if not parts:
        return None
    top, rest = parts[0], parts[1:]
    if top == "nvidia":
        return Path(*parts) if len(parts) > 2 else None
    if top == "torch.libs" and rest:
        return Path(*parts)
    if top not in ("torch", "libtorch") or not rest:
        return None
    if rest[0] in TORCH_PARTS and len(rest) > 1:
        if rest[0] == "lib" and rest[-1].startswith(UNNEEDED):
            return None
        return Path("torch", *rest)
    return Path("torch", rest[0]) if len(rest) == 1 and rest[0] in TORCH_FILES else None


def plan_members(archives):
    """[(archive, member, destination)] of everything to write; refuses unsafe names, links and absurd sizes."""
    members, total = [], 0
    for path in archives:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                where = destination(info.filename)
                if where is None or info.is_dir():
                    continue
                if stat.S_ISLNK(info.external_attr >> 16):
                    raise Refused(f"its member {info.filename!r} is a link")
                total += info.file_size
                members.append((path, info, where))
    if total > MAX_TOTAL:
        raise Refused(f"it would unpack to {total / 2**30:.0f} GiB")
    return members, total


def unpack(archives, target):
    members, total = plan_members(archives)
    if not any(where.parts[:2] == ("torch", "lib") for _, _, where in members):
        raise Refused("it has no torch/lib and no libtorch/lib, so it is no wheel of torch and no libtorch archive")
    free = shutil.disk_usage(target).free
    if total + 2**26 > free:
        raise Refused(
            f"the disk of {target} is too full: {total / 2**20:.0f} MiB are needed and {free / 2**20:.0f} MiB are free"
        )
    written, opened = 0, {}
    try:
        for path, info, where in members:
            if path not in opened:
                opened[path] = zipfile.ZipFile(path)
            output = target / where
            output.parent.mkdir(parents=True, exist_ok=True)
            # zipfile checks each member's CRC at its end, so a damaged member raises here.
            with opened[path].open(info) as source, open(output, "wb") as sink:
                shutil.copyfileobj(source, sink, 2**20)
            written += info.file_size
            print(written, total, flush=True)
    finally:
        for archive in opened.values():
            archive.close()


def main():
    plan = json.load(sys.stdin)
    try:
        unpack(plan["archives"], Path(plan["target"]))
    except Refused as reason:
        sys.exit(str(reason))
    except zipfile.BadZipFile as reason:
        sys.exit(f"it is damaged or not a zip file ({reason})")
    except (EOFError, NotImplementedError) as reason:
        sys.exit(f"it is damaged ({reason})")
    except OSError as reason:
        sys.exit(f"{reason.strerror}: {reason.filename or plan['target']}")
    except Exception as reason:  # zlib.error and its like: the message matters, not the class
        sys.exit(f"it is damaged ({reason})")


if __name__ == "__main__":
    main()
