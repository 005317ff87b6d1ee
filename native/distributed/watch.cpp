#include "distributed/watch.h"

#include <c10/util/Exception.h>

namespace ld {

namespace {

using namespace std::chrono_literals;

constexpr auto kBeat = 500ms;
// Silence that is death when a connection was closed too, and when nothing else hints at it.
constexpr auto kSilentAfterError = 3s;
constexpr auto kSilent = 20s;

// How long rank 0, with whom the store goes, waits until the others have read why.
constexpr auto kToRead = 5s;

const std::string kLeft = "left";
const std::string kFailed = "failed: ";  // this rank, by itself
const std::string kLost = "lost: ";      // this rank, because of the one that is named

bool isGone(const std::string& sign) {
  return sign == kLeft || sign.starts_with(kFailed) || sign.starts_with(kLost);
}

std::vector<uint8_t> bytesOf(const std::string& text) { return {text.begin(), text.end()}; }

// Gloo's text without its place in the source before it and its advice behind it.
std::string essence(const std::string& error) {
  const auto begin = error.starts_with('[') ? error.find("] ") : std::string::npos;
  const auto end = error.find(". This is typically");
  const size_t from = begin == std::string::npos ? 0 : begin + 2;
  return error.substr(from, end == std::string::npos ? end : end - from);
}

std::string seconds(std::chrono::steady_clock::duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

}  // namespace

Watch::Watch(c10::intrusive_ptr<c10d::Store> store, std::string host, int rank, int size)
    : store_(std::move(store)), host_(std::move(host)), rank_(rank), size_(size) {
  for (int i = 0; i < size_; ++i) keys_.push_back("alive/" + std::to_string(i));
  show(std::to_string(beats_));
}

Watch::~Watch() { stop(""); }

void Watch::start(OnLoss onLoss) {
  peers_.assign(size_, {"", Clock::now()});
  thread_ = std::thread([this, onLoss = std::move(onLoss)] { run(onLoss); });
}

void Watch::report(const std::string& error) {
  std::lock_guard lock(mutex_);
  if (error_) return;
  error_ = essence(error);
  erredAt_ = Clock::now();
  changed_.notify_all();
}

void Watch::stop(const std::string& reason) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  if (lost_) return;
  try {
    show(reason.empty() ? kLeft : kFailed + reason);
  } catch (const std::exception&) {
    // The store's process is gone: nobody is left to tell.
  }
}

bool Watch::othersHaveLeft() {
  try {
    const auto all = signs();
    for (int i = 0; i < size_; ++i) {
      if (i != rank_ && !isGone(all[i])) return false;
    }
    return true;
  } catch (const std::exception&) {
    return true;
  }
}

void Watch::show(const std::string& sign) { store_->set(keys_[rank_], bytesOf(sign)); }

std::vector<std::string> Watch::signs() {
  std::vector<std::string> result;
  for (const auto& bytes : store_->multiGet(keys_)) result.emplace_back(bytes.begin(), bytes.end());
  return result;
}

std::optional<std::string> Watch::verdict(Clock::time_point now) {
  std::optional<std::string> error;
  Clock::time_point erredAt;
  {
    std::lock_guard lock(mutex_);
    error = error_;
    erredAt = erredAt_;
  }
  const auto name = [](int rank) { return "rank " + std::to_string(rank); };
  for (int i = 0; i < size_; ++i) {
    const auto& [sign, heard] = peers_[i];
    if (i == rank_ || sign == kLeft) continue;
    if (sign.starts_with(kLost)) return sign.substr(kLost.size());
    if (sign.starts_with(kFailed)) return name(i) + " failed: " + sign.substr(kFailed.size());
    const auto silence = now - heard;
    if (silence > kSilent) {
      return name(i) + " gave no sign of life for " + seconds(silence) + ": its process or its machine hangs or is gone";
    }
    if (error && silence > kSilentAfterError) return name(i) + " died: its process ended without a word (" + *error + ")";
  }
  if (!error || now - erredAt < kSilentAfterError + 2 * kBeat) return std::nullopt;
  for (int i = 0; i < size_; ++i) {
    if (i != rank_ && peers_[i].sign == kLeft) return name(i) + " left the group while others still needed it (" + *error + ")";
  }
  return "every rank is alive, but a collective operation failed: " + *error +
         ". All ranks must call the same ones in the same order, with tensors of one shape and dtype";
}

void Watch::untilRead() {
  const auto until = Clock::now() + kToRead;
  try {
    while (Clock::now() < until) {
      const auto all = signs();
      const auto now = Clock::now();
      bool unread = false;
      for (int i = 0; i < size_; ++i) {
        const bool alive = all[i] != peers_[i].sign || now - peers_[i].heard < kSilentAfterError;
        unread |= i != rank_ && alive && !isGone(all[i]);
      }
      if (!unread) return;
      std::this_thread::sleep_for(kBeat / 5);
    }
  } catch (const std::exception&) {
    // No store, no readers.
  }
}

void Watch::run(const OnLoss& onLoss) {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kBeat, [this] { return stopping_; });
      if (stopping_) return;
    }
    std::optional<std::string> loss;
    try {
      show(std::to_string(++beats_));
      const auto all = signs();
      const auto now = Clock::now();
      for (int i = 0; i < size_; ++i) {
        if (all[i] != peers_[i].sign) peers_[i] = {all[i], now};
      }
      loss = verdict(now);
      // So that all ranks name the same one: those that go because of this loss are gone soon too.
      if (loss) show(kLost + *loss);
    } catch (const c10::Error& error) {
      const std::string reason = error.what_without_backtrace();
      loss = rank_ == 0 ? "the store of the group failed: " + reason
                        : "rank 0, which keeps the store of the group (" + host_ + "), is gone: " + reason;
    } catch (const std::exception& error) {
      loss = std::string("the store of the group failed: ") + error.what();
    }
    if (loss) {
      lost_ = true;
      if (rank_ == 0) untilRead();
      onLoss(*loss);
      return;
    }
  }
}

}  // namespace ld
