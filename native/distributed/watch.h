// Who of a group is alive. A backend says at best that a connection was closed; a user wants to know which rank
// died. So each rank shows a sign of life in the store twice a second, from a thread that nothing else can hold up,
// and leaves its last words there when it goes. A dead rank is known by its silence.
#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace ld {

class Watch {
 public:
  // Told once, on the watch's thread, why the group cannot go on.
  using OnLoss = std::function<void(std::string)>;

  // `store`: a connection that nobody else uses. Shows the first sign of life; start() goes on with it.
  Watch(c10::intrusive_ptr<c10d::Store> store, std::string host, int rank, int size);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // When all ranks are there.
  void start(OnLoss onLoss);
  // A collective failed: finds out which rank is the reason, within seconds.
  void report(const std::string& error);
  // Ends the watch with this rank's last words; none mean that it leaves in peace.
  void stop(const std::string& reason);
  // Whether all others have left; called after stop().
  bool othersHaveLeft();

 private:
  using Clock = std::chrono::steady_clock;
  struct Peer {
    std::string sign;
    Clock::time_point heard;
  };

  void run(const OnLoss& onLoss);
  void show(const std::string& sign);
  std::vector<std::string> signs();
  // Waits until those who live know why the group is lost.
  void untilRead();
  // Why the group is lost, as far as it is known now.
  std::optional<std::string> verdict(Clock::time_point now);

  const c10::intrusive_ptr<c10d::Store> store_;
  const std::string host_;
  const int rank_;
  const int size_;
  std::vector<std::string> keys_;
  std::vector<Peer> peers_;
  uint64_t beats_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::optional<std::string> error_;
  Clock::time_point erredAt_;
  bool lost_ = false;  // of thread_, until it is joined
  std::thread thread_;
};

}  // namespace ld
