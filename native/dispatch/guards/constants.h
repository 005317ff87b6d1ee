// What the constants of a call site say by themselves: looked at once, when the site is made.
#pragma once

#include <string>

#include "dispatch/site.h"

namespace ld::guards {

// Why a call with these constants is refused; empty where it is not.
std::string refusalOf(const Site& site);

}  // namespace ld::guards
