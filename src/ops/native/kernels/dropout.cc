// Dropout as a TensorFlow op.
#include "draw.h"

namespace espalier {
namespace {
using namespace tensorflow;

REGISTER_OP("EspalierDropout")
    .Input("x: float")
    .Input("seed: NS * int32")
    .Attr("NS: int >= 0")
    .Attr("dropped: int")
    .Attr("hi: int")
    .Attr("lo: int")
    .Output("y: float")
    .SetShapeFn(unknownShapes);

class DropoutOp : public OpKernel {
 public:
  explicit DropoutOp(OpKernelConstruction* c) : OpKernel(c), attrs_(c) {}
  void Compute(OpKernelContext* c) override {
    const Tensor& x = c->input(0);
    Draw draw;
    OP_REQUIRES_OK(c, attrs_.draw(c, &draw));
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->forward_input_or_allocate_output({0}, 0, x.shape(), &y));
    ESPALIER_PICK(dropout)(threadsOf(c), draw, x.NumElements(), floatsOf(x), floatsOf(y));
  }

 private:
  DrawAttrs attrs_;
};
REGISTER_KERNEL_BUILDER(Name("EspalierDropout").Device(DEVICE_CPU), DropoutOp);

}  // namespace
}  // namespace espalier
