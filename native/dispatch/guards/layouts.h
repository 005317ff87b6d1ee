// Tensors of other layouts in operators that have no kernel for them.
#pragma once

namespace ld::guards {

// libtorch makes most operators of a shape function and a kernel that writes to out=, and runs the shape function with a
// compressed sparse, quantized or oneDNN tensor before it finds that there is no kernel; some read memory there that such
// a tensor does not have. Has these operators refuse, also where other operators call them. Once a process.
void refuseForeignLayouts();

}  // namespace ld::guards
