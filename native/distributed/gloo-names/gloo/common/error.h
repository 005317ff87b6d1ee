// Asked for by ProcessGroupGloo.hpp, which uses nothing of it. See context.h.
#pragma once
