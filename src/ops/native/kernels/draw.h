// How an op is told what to drop; only for files that are compiled with TensorFlow's headers.
#pragma once

#include "dropout.h"
#include "op.h"

namespace espalier {

// Threefry-2x32 for one block; the vectors of threefry.h for all others.
inline void threefry(uint32_t k0, uint32_t k1, uint32_t* a, uint32_t* b) {
  const uint32_t keys[3] = {k0, k1, k0 ^ k1 ^ 0x1bd11bda};
  const int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  *a += k0, *b += k1;
  for (int group = 0; group < 5; group++) {
    for (const int by : rotations[group % 2]) {
      *a += *b;
      *b = ((*b << by) | (*b >> (32 - by))) ^ *a;
    }
    *a += keys[(group + 1) % 3];
    *b += keys[(group + 2) % 3] + group + 1;
  }
}

// The attrs `dropped`, of 2^32, and the key's words `hi` and `lo`, under which the two words of a seed are drawn if there
// is one.
class DrawAttrs {
 public:
  explicit DrawAttrs(tensorflow::OpKernelConstruction* c) {
    OP_REQUIRES_OK(c, c->GetAttr("dropped", &dropped_));
    OP_REQUIRES_OK(c, c->GetAttr("hi", &hi_));
    OP_REQUIRES_OK(c, c->GetAttr("lo", &lo_));
    OP_REQUIRES(c, dropped_ >= 0 && dropped_ < int64_t{1} << 32,
                tensorflow::errors::InvalidArgument("dropped is a number of 32-bit words"));
  }
  tensorflow::Status draw(tensorflow::OpKernelContext* c, Draw* draw) const {
    tensorflow::OpInputList seed;
    TF_RETURN_IF_ERROR(c->input_list("seed", &seed));
    *draw = {static_cast<uint32_t>(hi_), static_cast<uint32_t>(lo_), dropped_};
    if (seed.size() == 0) return tensorflow::Status();
    if (seed[0].NumElements() != 2) return tensorflow::errors::InvalidArgument("a seed has two words");
    uint32_t a = seed[0].flat<tensorflow::int32>()(0), b = seed[0].flat<tensorflow::int32>()(1);
    threefry(draw->hi, draw->lo, &a, &b);
    draw->hi = a, draw->lo = b;
    return tensorflow::Status();
  }

 private:
  tensorflow::int64 dropped_, hi_, lo_;
};

}  // namespace espalier
