// The products as TensorFlow ops.
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

REGISTER_OP("EspalierMatMulPacked")
    .Input("x: float")
    .Input("codes: int32")
    .Input("quantised: Q * int32")
    .Input("scales: N * float")
    .Attr("Q: int >= 0")
    .Attr("N: int >= 0")
    .Attr("scheme: string")
    .Attr("rows: int")
    .Attr("columns: int")
    .Attr("transpose: bool = false")
    .Output("y: float")
    .SetShapeFn(unknownShapes);

// nf4 takes as `scales` the scales of its blocks and what its 16 codes mean; where the scales are `quantised`
// themselves, those of 256 blocks, their offset, and what the codes and the 256 codes of scales mean. int8 takes the
// scales of its rows.
class MatMulPacked : public OpKernel {
 public:
  explicit MatMulPacked(OpKernelConstruction* c) : OpKernel(c) {
    string scheme;
    OP_REQUIRES_OK(c, c->GetAttr("scheme", &scheme));
    OP_REQUIRES_OK(c, c->GetAttr("rows", &rows_));
    OP_REQUIRES_OK(c, c->GetAttr("columns", &columns_));
    OP_REQUIRES_OK(c, c->GetAttr("transpose", &transpose_));
    coding_ = scheme == "nf4" ? Coding::kNf4 : scheme == "int8" ? Coding::kInt8 : scheme == "bf16" ? Coding::kBf16
                                                                                                    : Coding::kF16;
    OP_REQUIRES(c, coding_ != Coding::kF16 || scheme == "f16", errors::InvalidArgument("no scheme ", scheme));
  }
  void Compute(OpKernelContext* c) override {
    const Tensor& x = c->input(0);
    OpInputList quantised, scales;
    OP_REQUIRES_OK(c, c->input_list("quantised", &quantised));
    OP_REQUIRES_OK(c, c->input_list("scales", &scales));
    const int64_t depth = transpose_ ? columns_ : rows_, columns = transpose_ ? rows_ : columns_;
    OP_REQUIRES(c, x.dims() == 2 && x.dim_size(1) == depth,
                errors::InvalidArgument("EspalierMatMulPacked takes x of [any, ", depth, "]"));
    OP_REQUIRES(c, isWhole(c->input(1), quantised, scales),
                errors::InvalidArgument("EspalierMatMulPacked: codes or scales of other lengths than the matrix has"));
    Held held{coding_, c->input(1).data(), columns_, nullptr, nullptr, 0, nullptr, nullptr};
    if (scales.size() > 0) held.scales = floatsOf(scales[0]);
    if (coding_ == Coding::kNf4) held.values = floatsOf(scales[quantised.size() > 0 ? 2 : 1]);
    if (quantised.size() > 0) {
      held.scaleCodes = static_cast<const uint8_t*>(quantised[0].data());
      held.scaleOffset = floatsOf(scales[1])[0];
      held.scaleValues = floatsOf(scales[3]);
    }
    Tensor* out = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({x.dim_size(0), columns}), &out));
    const Product product{static_cast<int>(x.dim_size(0)), static_cast<int>(columns), static_cast<int>(depth),
                          floatsOf(x), depth, false, held, transpose_, floatsOf(out), columns, false};
    ESPALIER_PICK(multiply)(threadsOf(c), product);
  }

 private:
  // Whether nothing is read behind the end of an input.
  bool isWhole(const Tensor& codes, const OpInputList& quantised, const OpInputList& scales) const {
    const int64_t size = rows_ * columns_, blocks = (size + 63) / 64;
    const auto has = [&](int i, int64_t count) { return scales.size() > i && scales[i].NumElements() >= count; };
    const int bits = coding_ == Coding::kNf4 ? 4 : coding_ == Coding::kInt8 ? 8 : 16;
    if (rows_ < 0 || columns_ < 0 || codes.NumElements() * 32 < size * bits) return false;
    if (coding_ == Coding::kInt8) return has(0, rows_);
    if (coding_ != Coding::kNf4) return true;
    if (quantised.size() == 0) return has(0, blocks) && has(1, 16);
    return quantised[0].NumElements() * 4 >= blocks && has(0, (blocks + 255) / 256) && has(1, 1) && has(2, 16) &&
           has(3, 256);
  }

  Coding coding_;
  int64_t rows_, columns_;
  bool transpose_;
};
REGISTER_KERNEL_BUILDER(Name("EspalierMatMulPacked").Device(DEVICE_CPU), MatMulPacked);

}  // namespace
}  // namespace espalier
