#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <cstdlib>

#include "distributed/backends.h"

namespace ld {

namespace {

// As in PyTorch, GLOO_SOCKET_IFNAME names the network to use; only its first name counts here.
std::string wantedInterface() {
  const char* names = std::getenv("GLOO_SOCKET_IFNAME");
  const std::string all = names == nullptr ? "" : names;
  return all.substr(0, all.find(','));
}

}  // namespace

c10::intrusive_ptr<c10d::Backend> makeGloo(const BackendPlace& place) {
  using c10d::ProcessGroupGloo;
  auto options = ProcessGroupGloo::Options::create(place.timeout);
  const std::string network = wantedInterface();
  options->devices.push_back(!network.empty() ? ProcessGroupGloo::createDeviceForInterface(network)
                             : place.local    ? ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                              : ProcessGroupGloo::createDefaultDevice());
  return c10::make_intrusive<ProcessGroupGloo>(place.store, place.rank, place.size, options);
}

}  // namespace ld
