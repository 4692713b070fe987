// The product as a TensorFlow op.
#include "gemm.h"
#include "op.h"

namespace espalier {
namespace {
using namespace tensorflow;

REGISTER_OP("EspalierMatMul")
    .Input("a: float")
    .Input("b: float")
    .Attr("transpose_a: bool = false")
    .Attr("transpose_b: bool = false")
    .Output("c: float")
    .SetShapeFn(unknownShapes);

class MatMul : public OpKernel {
 public:
  explicit MatMul(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("transpose_a", &transposeA_));
    OP_REQUIRES_OK(c, c->GetAttr("transpose_b", &transposeB_));
  }
  void Compute(OpKernelContext* c) override {
    const Tensor &a = c->input(0), &b = c->input(1);
    OP_REQUIRES(c, a.dims() == 2 && b.dims() == 2, errors::InvalidArgument("EspalierMatMul takes matrices"));
    const int64_t rows = a.dim_size(transposeA_), depth = a.dim_size(!transposeA_), columns = b.dim_size(!transposeB_);
    OP_REQUIRES(c, b.dim_size(transposeB_) == depth, errors::InvalidArgument("EspalierMatMul: inner sizes differ"));
    Tensor* out = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({rows, columns}), &out));
    const Product product{static_cast<int>(rows), static_cast<int>(columns), static_cast<int>(depth), floatsOf(a),
                          a.dim_size(1), transposeA_, denseMatrix(floatsOf(b), b.dim_size(1)), transposeB_,
                          floatsOf(out), columns, false};
    ESPALIER_PICK(multiply)(threadsOf(c), product);
  }

 private:
  bool transposeA_, transposeB_;
};
REGISTER_KERNEL_BUILDER(Name("EspalierMatMul").Device(DEVICE_CPU), MatMul);

}  // namespace
}  // namespace espalier
