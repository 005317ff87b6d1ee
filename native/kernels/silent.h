// The dispatcher warns of a kernel that takes the place of another; not while this lives.
#pragma once

#include <c10/util/Exception.h>

namespace ld {

class SilentRegistration {
 private:
  class Handler final : public c10::WarningHandler {
    void process(const c10::Warning&) override {}
  };
  Handler handler_;
  c10::WarningUtils::WarningHandlerGuard guard_{&handler_};
};

}  // namespace ld
