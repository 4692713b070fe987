// A register machine over blocks of elements that stay in the first-level cache: a chain of operations reads its inputs
// and writes its outputs once.
#pragma once

#include <cstdint>

#include "isa.h"
#include "threads.h"

// name, number of sources
#define ESPALIER_OPERATIONS(OP)                                                                                    \
  OP(copy, 1) OP(add, 2) OP(sub, 2) OP(mul, 2) OP(div, 2) OP(min, 2) OP(max, 2) OP(neg, 1) OP(abs, 1) OP(exp, 1)   \
  OP(expm1, 1) OP(log, 1) OP(sqrt, 1) OP(rsqrt, 1) OP(square, 1) OP(tanh, 1) OP(sigmoid, 1) OP(erf, 1) OP(relu, 1) \
  OP(gelu, 1) OP(geluSlope, 1) OP(geluTanh, 1) OP(geluTanhSlope, 1) OP(silu, 1) OP(siluSlope, 1) OP(softplus, 1)   \
  OP(sin, 1) OP(cos, 1) OP(where, 3) OP(equal, 2) OP(less, 2) OP(greater, 2)

namespace espalier {

enum class Operation {
#define OP(name, sources) k_##name,
  ESPALIER_OPERATIONS(OP)
#undef OP
};

// Places are numbered through: the inputs, the outputs, the constants, the registers.
struct Instruction {
  Operation operation;
  int to;
  int from[3];  // a copy of the first where there are fewer
};

enum class Spread {
  kFull,    // a value for each element
  kScalar,  // one for all
  kRow,     // values for the last elements, again and again
  kColumn,  // each value for as many elements, one after the other
};

struct ElementwiseInput {
  const float* data;
  int64_t size;
  Spread spread;
};

struct Elementwise {
  int64_t size;  // elements of each output
  const ElementwiseInput* inputs;
  int inputCount;
  float* const* outputs;  // may be full inputs whose last reader comes no later than the writer
  int outputCount;
  const float* constants;
  int constantCount;
  int registerCount;
  const Instruction* instructions;
  int instructionCount;
};

}  // namespace espalier

ESPALIER_EACH_ISA(void elementwise(const Threads& threads, const Elementwise& job);)
