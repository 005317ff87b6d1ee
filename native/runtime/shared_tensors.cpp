#include "runtime/shared_tensors.h"

#include <random>

namespace ld {

namespace {

using namespace std::chrono_literals;

constexpr auto kKeptAfterEnd = 60s;

std::string randomToken() {
  constexpr char kDigits[] = "0123456789abcdef";
  std::random_device entropy;
  std::string token;
  for (int word = 0; word < 4; ++word) {
    const uint32_t bits = entropy();
    for (int shift = 0; shift < 32; shift += 4) token += kDigits[(bits >> shift) & 15];
  }
  return token;
}

}  // namespace

// Leaked: environments may end after every static.
SharedTensors& SharedTensors::instance() {
  static SharedTensors* const shared = new SharedTensors();
  return *shared;
}

std::string SharedTensors::put(Offer offer) {
  std::string token = randomToken();
  std::lock_guard lock(mutex_);
  forgetAbandoned();
  offers_.emplace(token, std::move(offer));
  return token;
}

std::optional<SharedTensors::Offer> SharedTensors::take(const std::string& token) {
  std::lock_guard lock(mutex_);
  forgetAbandoned();
  const auto found = offers_.find(token);
  if (found == offers_.end()) return std::nullopt;
  Offer offer = std::move(found->second);
  offers_.erase(found);
  return offer;
}

void SharedTensors::ownerEnds(const Session& owner) {
  std::lock_guard lock(mutex_);
  forgetAbandoned();
  for (auto& [token, offer] : offers_) {
    if (offer.owner != &owner) continue;
    offer.owner = nullptr;
    offer.ownerEnded = std::chrono::steady_clock::now();
  }
}

size_t SharedTensors::waiting() {
  std::lock_guard lock(mutex_);
  forgetAbandoned();
  return offers_.size();
}

void SharedTensors::forgetAbandoned() {
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(offers_, [&](const auto& entry) {
    return entry.second.owner == nullptr && now - entry.second.ownerEnded > kKeptAfterEnd;
  });
}

}  // namespace ld
