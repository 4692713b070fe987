// Each instruction runs over a whole block before the next one does.
#include "elementwise.h"

#include "maths.h"

namespace espalier::ESPALIER_ISA {

namespace {

constexpr int kBlock = 1024;
// From one block to the next: not a multiple of 4 kB, or a load would wait for the store to the block before.
constexpr int kBlockStride = kBlock + 48;

// Where a block of a value lies; the step from vector to vector is 0 where one vector serves the whole block.
struct Place {
  float* at;
  int step;
};

ESPALIER_INLINE Floats truth(Ints condition) { return condition ? splat(1) : splat(0); }

#define ESPALIER_ELEMENT(name, expression)                                     \
  struct name {                                                                 \
    ESPALIER_INLINE Floats of([[maybe_unused]] Floats a, [[maybe_unused]] Floats b, \
                              [[maybe_unused]] Floats c) {                      \
      return expression;                                                        \
    }                                                                           \
  };
ESPALIER_ELEMENT(of_copy, a)
ESPALIER_ELEMENT(of_add, a + b)
ESPALIER_ELEMENT(of_sub, a - b)
ESPALIER_ELEMENT(of_mul, a * b)
ESPALIER_ELEMENT(of_div, a / b)
ESPALIER_ELEMENT(of_min, a != a ? a : smaller(a, b))
ESPALIER_ELEMENT(of_max, a != a ? a : larger(a, b))
ESPALIER_ELEMENT(of_neg, -a)
ESPALIER_ELEMENT(of_abs, absolute(a))
ESPALIER_ELEMENT(of_exp, naturalExponential(a))
ESPALIER_ELEMENT(of_expm1, exponentialMinus1(a))
ESPALIER_ELEMENT(of_log, naturalLogarithm(a))
ESPALIER_ELEMENT(of_sqrt, squareRoot(a))
ESPALIER_ELEMENT(of_rsqrt, 1.f / squareRoot(a))
ESPALIER_ELEMENT(of_square, a * a)
ESPALIER_ELEMENT(of_tanh, hyperbolicTangent(a))
ESPALIER_ELEMENT(of_sigmoid, logistic(a))
ESPALIER_ELEMENT(of_erf, errorFunction(a))
ESPALIER_ELEMENT(of_relu, rectified(a))
ESPALIER_ELEMENT(of_gelu, gelu(a))
ESPALIER_ELEMENT(of_geluSlope, geluSlope(a))
ESPALIER_ELEMENT(of_geluTanh, geluTanh(a))
ESPALIER_ELEMENT(of_geluTanhSlope, geluTanhSlope(a))
ESPALIER_ELEMENT(of_silu, silu(a))
ESPALIER_ELEMENT(of_siluSlope, siluSlope(a))
ESPALIER_ELEMENT(of_softplus, softplus(a))
ESPALIER_ELEMENT(of_sin, sine(a))
ESPALIER_ELEMENT(of_cos, cosine(a))
ESPALIER_ELEMENT(of_where, a != 0.f ? b : c)
ESPALIER_ELEMENT(of_equal, truth(a == b))
ESPALIER_ELEMENT(of_less, truth(a < b))
ESPALIER_ELEMENT(of_greater, truth(a > b))

template <class Element>
void pass(const Place& to, Place a, Place b, Place c, int count) {
  for (int i = 0; i < count; i += kLanes, a.at += a.step, b.at += b.step, c.at += c.step)
    store(to.at + i, Element::of(load(a.at), load(b.at), load(c.at)));
}

using Pass = void (*)(const Place& to, Place a, Place b, Place c, int count);
const Pass passes[] = {
#define OP(name, sources) pass<of_##name>,
    ESPALIER_OPERATIONS(OP)
#undef OP
};

// The memory of one thread: a block for each place, though not every place needs its own.
struct Machine {
  const Elementwise& job;
  float* memory;
  Place* places;

  float* blockOf(int place) const { return memory + static_cast<int64_t>(place) * kBlockStride; }
  int firstOutput() const { return job.inputCount; }
  int firstConstant() const { return firstOutput() + job.outputCount; }
  int firstRegister() const { return firstConstant() + job.constantCount; }

  void start() {
    for (int i = 0; i < job.constantCount; i++) spread(firstConstant() + i, job.constants[i]);
    for (int i = 0; i < job.registerCount; i++) places[firstRegister() + i] = {blockOf(firstRegister() + i), kLanes};
  }

  void spread(int place, float value) {
    store(blockOf(place), splat(value));
    places[place] = {blockOf(place), 0};
  }

  // Makes the elements of an input from `begin` readable, up to a whole vector behind the last one.
  void read(int i, int64_t begin, int count) {
    const ElementwiseInput& input = job.inputs[i];
    float* block = blockOf(i);
    places[i] = {block, kLanes};
    switch (input.spread) {
      case Spread::kScalar:
        return spread(i, input.data[0]);
      case Spread::kFull:
        if (count % kLanes == 0) places[i].at = const_cast<float*>(input.data) + begin;
        else memcpy(block, input.data + begin, count * sizeof(float));
        return;
      case Spread::kRow: {
        int64_t at = begin % input.size;
        if (count % kLanes == 0 && at + count <= input.size) {
          places[i].at = const_cast<float*>(input.data) + at;
          return;
        }
        for (int done = 0; done < count; at = 0) {
          const int64_t run = input.size - at < count - done ? input.size - at : count - done;
          memcpy(block + done, input.data + at, run * sizeof(float));
          done += run;
        }
        return;
      }
      case Spread::kColumn: {
        const int64_t run = job.size / input.size;
        int64_t column = begin / run;
        if ((begin + count - 1) / run == column) return spread(i, input.data[column]);
        int64_t end = (column + 1) * run - begin;
        for (int done = 0; done < count; column++, end += run)
          for (const float value = input.data[column]; done < count && done < end; done++) block[done] = value;
        return;
      }
    }
  }

  void run(int64_t begin, int count) {
    const int whole = (count + kLanes - 1) / kLanes * kLanes;
    for (int i = 0; i < job.inputCount; i++) read(i, begin, count);
    for (int i = 0; i < job.outputCount; i++)
      places[firstOutput() + i] = {count == whole ? job.outputs[i] + begin : blockOf(firstOutput() + i), kLanes};
    for (int i = 0; i < job.instructionCount; i++) {
      const Instruction& of = job.instructions[i];
      passes[static_cast<int>(of.operation)](places[of.to], places[of.from[0]], places[of.from[1]],
                                             places[of.from[2]], whole);
    }
    if (count == whole) return;
    for (int i = 0; i < job.outputCount; i++)
      memcpy(job.outputs[i] + begin, blockOf(firstOutput() + i), count * sizeof(float));
  }
};

}  // namespace

void elementwise(const Threads& threads, const Elementwise& job) {
  const int placeCount = job.inputCount + job.outputCount + job.constantCount + job.registerCount;
  inPieces(threads, (job.size + kBlock - 1) / kBlock, kBlock, [&](int64_t first, int64_t last) {
    float* memory = scratch(0, static_cast<size_t>(placeCount) * kBlockStride);
    Machine machine{job, memory, reinterpret_cast<Place*>(scratch(1, placeCount * sizeof(Place) / sizeof(float)))};
    machine.start();
    for (int64_t begin = first * kBlock; begin < last * kBlock; begin += kBlock) {
      const int64_t count = job.size - begin < kBlock ? job.size - begin : kBlock;
      // What does not fill a vector goes through memory of our own.
      const int whole = count / kLanes * kLanes;
      if (whole > 0) machine.run(begin, whole);
      if (whole < count) machine.run(begin + whole, count - whole);
    }
  });
}

}  // namespace espalier::ESPALIER_ISA
