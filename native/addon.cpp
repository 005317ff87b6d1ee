// The addon's entry: one Environment for each Node environment that loads it. What it exports is
// listed in its constructor (napi/environment.cpp).
#include "napi/environment.h"

using Addon = ld::Environment;
NODE_API_NAMED_ADDON(landmark_diffusion, Addon)
