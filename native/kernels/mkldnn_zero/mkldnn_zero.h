// zero_ of a oneDNN tensor: libtorch 2.13 writes four bytes for each element, also where an element has fewer.
#pragma once

namespace ld {

// Has it refuse all dtypes but float32, also where other operators call it. Once a process.
void registerMkldnnZero();

}  // namespace ld
