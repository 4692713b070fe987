// How an op is told what to drop; only for files that are compiled with TensorFlow's headers.
#pragma once

#include "dropout.h"
#include "op.h"

namespace espalier {

// The attrs `dropped`, of 2^32, and the key's words `hi` and `lo`, under which a seed is drawn if there is one.
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
    const auto words = seed[0].flat<tensorflow::int32>();
    ESPALIER_PICK(seedDraw)(draw, words(0), words(1));
    return tensorflow::Status();
  }

 private:
  tensorflow::int64 dropped_, hi_, lo_;
};

}  // namespace espalier
