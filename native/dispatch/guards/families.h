// The guards by family, one file each. A name with an overload stands before the name alone, which holds for all
// overloads.
#pragma once

#include <string>
#include <unordered_map>

#include "dispatch/guards.h"

namespace ld::guards {

using Table = std::unordered_map<std::string, Guard>;

void addConvolutions(Table& table);
void addDivision(Table& table);
void addIndices(Table& table);
void addMatrices(Table& table);
void addMisc(Table& table);
void addNested(Table& table);
void addNorms(Table& table);
void addOptimizers(Table& table);
void addPacked(Table& table);
void addPooling(Table& table);
void addRecurrent(Table& table);
void addSparse(Table& table);

// Lists of a _foreach operator go together, element by element.
void sameLengths(const torch::jit::Stack& arguments);
// special_*_polynomial_*(x, n): the kernel takes n steps.
void degree(const torch::jit::Stack& arguments);

// For operators that do not follow a sparse tensor's indices: the one way to look at those that are out of range.
void anySparse(const torch::jit::Stack& arguments);

}  // namespace ld::guards
