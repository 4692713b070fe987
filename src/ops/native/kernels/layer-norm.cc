// Layer normalisation as TensorFlow ops.
#include "layer-norm.h"

#include "op.h"

namespace espalier {
namespace {
using namespace tensorflow;

REGISTER_OP("EspalierLayerNorm")
    .Input("x: float")
    .Input("rest: N * float")
    .Attr("N: int >= 0")
    .Attr("eps: float")
    .Attr("scaled: bool")
    .Attr("shifted: bool")
    .Output("y: float")
    .SetShapeFn(unknownShapes);

class LayerNormOp : public OpKernel {
 public:
  explicit LayerNormOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("eps", &eps_));
    OP_REQUIRES_OK(c, c->GetAttr("scaled", &scaled_));
    OP_REQUIRES_OK(c, c->GetAttr("shifted", &shifted_));
  }
  void Compute(OpKernelContext* c) override {
    const Tensor& x = c->input(0);
    OpInputList rest;
    OP_REQUIRES_OK(c, c->input_list("rest", &rest));
    OP_REQUIRES(c, x.dims() > 0 && rest.size() == scaled_ + shifted_,
                errors::InvalidArgument("EspalierLayerNorm takes rows, and a scale and a shift if its attrs say so"));
    const int64_t width = x.dim_size(x.dims() - 1);
    for (const Tensor& row : rest)
      OP_REQUIRES(c, row.NumElements() == width, errors::InvalidArgument("EspalierLayerNorm: sizes differ"));
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->forward_input_or_allocate_output({0}, 0, x.shape(), &y));
    if (x.NumElements() == 0) return;
    ESPALIER_PICK(layerNorm)(threadsOf(c), {x.NumElements() / width, static_cast<int>(width), eps_, floatsOf(x),
                                            scaled_ ? floatsOf(rest[0]) : nullptr,
                                            shifted_ ? floatsOf(rest[scaled_]) : nullptr, floatsOf(y)});
  }

 private:
  float eps_;
  bool scaled_, shifted_;
};
REGISTER_KERNEL_BUILDER(Name("EspalierLayerNorm").Device(DEVICE_CPU), LayerNormOp);

REGISTER_OP("EspalierLayerNormSlope")
    .Input("x: float")
    .Input("g: float")
    .Attr("eps: float")
    .Output("dx: float")
    .SetShapeFn(unknownShapes);

class LayerNormSlopeOp : public OpKernel {
 public:
  explicit LayerNormSlopeOp(OpKernelConstruction* c) : OpKernel(c) { OP_REQUIRES_OK(c, c->GetAttr("eps", &eps_)); }
  void Compute(OpKernelContext* c) override {
    const Tensor &x = c->input(0), &g = c->input(1);
    OP_REQUIRES(c, x.dims() > 0 && x.NumElements() == g.NumElements(),
                errors::InvalidArgument("EspalierLayerNormSlope takes rows, and a gradient of their size"));
    const int64_t width = x.dim_size(x.dims() - 1);
    Tensor* dx = nullptr;
    OP_REQUIRES_OK(c, c->forward_input_or_allocate_output({1, 0}, 0, x.shape(), &dx));
    if (x.NumElements() == 0) return;
    ESPALIER_PICK(layerNormSlope)(threadsOf(c), {x.NumElements() / width, static_cast<int>(width), eps_, floatsOf(x),
                                                 floatsOf(g), floatsOf(dx)});
  }

 private:
  float eps_;
};
REGISTER_KERNEL_BUILDER(Name("EspalierLayerNormSlope").Device(DEVICE_CPU), LayerNormSlopeOp);

}  // namespace
}  // namespace espalier
