// What reads packed matrices, as TensorFlow ops.
#include "packed.h"

#include "op.h"

namespace espalier {
namespace {
using namespace tensorflow;

#define ESPALIER_PACKED(first, name)  \
  REGISTER_OP(name)                   \
      first                           \
      .Input("codes: int32")          \
      .Input("quantised: Q * int32")  \
      .Input("scales: N * float")     \
      .Attr("Q: int >= 0")            \
      .Attr("N: int >= 0")            \
      .Attr("scheme: string")         \
      .Attr("rows: int")              \
      .Attr("columns: int")           \
      .Output("y: float")             \
      .SetShapeFn(unknownShapes)

ESPALIER_PACKED(, "EspalierUnpack");
ESPALIER_PACKED(.Input("ids: int32"), "EspalierGatherPacked").Attr("axis: int = 0");
ESPALIER_PACKED(.Input("x: float"), "EspalierMatMulPacked").Attr("transpose: bool = false");

// nf4 takes as `scales` the scales of its blocks and what its 16 codes mean; where the scales are `quantised`
// themselves, those of 256 blocks, their offset, and what the codes and the 256 codes of scales mean. int8 takes the
// scales of its rows.
class PackedOp : public OpKernel {
 public:
  explicit PackedOp(OpKernelConstruction* c) : OpKernel(c) {
    string scheme;
    OP_REQUIRES_OK(c, c->GetAttr("scheme", &scheme));
    OP_REQUIRES_OK(c, c->GetAttr("rows", &rows_));
    OP_REQUIRES_OK(c, c->GetAttr("columns", &columns_));
    coding_ = scheme == "nf4" ? Coding::kNf4 : scheme == "int8" ? Coding::kInt8 : scheme == "bf16" ? Coding::kBf16
                                                                                                    : Coding::kF16;
    OP_REQUIRES(c, coding_ != Coding::kF16 || scheme == "f16", errors::InvalidArgument("no scheme ", scheme));
  }

 protected:
  Status read(OpKernelContext* c, Held* held) const {
    const Tensor* codes;
    OpInputList quantised, scales;
    TF_RETURN_IF_ERROR(c->input("codes", &codes));
    TF_RETURN_IF_ERROR(c->input_list("quantised", &quantised));
    TF_RETURN_IF_ERROR(c->input_list("scales", &scales));
    if (!isWhole(*codes, quantised, scales))
      return errors::InvalidArgument(type_string(), ": codes or scales of other lengths than the matrix has");
    *held = {coding_, codes->data(), columns_, nullptr, nullptr, 0, nullptr, nullptr};
    if (scales.size() > 0) held->scales = floatsOf(scales[0]);
    if (coding_ == Coding::kNf4) held->values = floatsOf(scales[quantised.size() > 0 ? 2 : 1]);
    if (quantised.size() > 0) {
      held->scaleCodes = static_cast<const uint8_t*>(quantised[0].data());
      held->scaleOffset = floatsOf(scales[1])[0];
      held->scaleValues = floatsOf(scales[3]);
    }
    return Status();
  }

  int64_t rows_, columns_;

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
};

class Unpack : public PackedOp {
 public:
  using PackedOp::PackedOp;
  void Compute(OpKernelContext* c) override {
    Held held;
    OP_REQUIRES_OK(c, read(c, &held));
    Tensor* out = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({rows_, columns_}), &out));
    if (out->NumElements() == 0) return;
    ESPALIER_PICK(decode)(threadsOf(c), {held, rows_, columns_, 0, nullptr, rows_, floatsOf(out)});
  }
};
REGISTER_KERNEL_BUILDER(Name("EspalierUnpack").Device(DEVICE_CPU), Unpack);

class GatherPacked : public PackedOp {
 public:
  explicit GatherPacked(OpKernelConstruction* c) : PackedOp(c) { OP_REQUIRES_OK(c, c->GetAttr("axis", &axis_)); }
  void Compute(OpKernelContext* c) override {
    Held held;
    OP_REQUIRES_OK(c, read(c, &held));
    const Tensor& ids = c->input(0);
    const int64_t limit = axis_ == 0 ? rows_ : columns_;
    for (int64_t i = 0; i < ids.NumElements(); i++) {
      const int id = ids.flat<int32>()(i);
      OP_REQUIRES(c, id >= 0 && id < limit, errors::InvalidArgument("id ", id, " is not in [0, ", limit, ")"));
    }
    TensorShape shape = ids.shape();
    shape.AddDim(axis_ == 0 ? columns_ : rows_);
    Tensor* out = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, shape, &out));
    if (out->NumElements() == 0) return;
    ESPALIER_PICK(decode)(threadsOf(c), {held, rows_, columns_, axis_, ids.flat<int32>().data(), ids.NumElements(),
                                         floatsOf(out)});
  }

 private:
  int axis_;
};
REGISTER_KERNEL_BUILDER(Name("EspalierGatherPacked").Device(DEVICE_CPU), GatherPacked);

class MatMulPacked : public PackedOp {
 public:
  explicit MatMulPacked(OpKernelConstruction* c) : PackedOp(c) {
    OP_REQUIRES_OK(c, c->GetAttr("transpose", &transpose_));
  }
  void Compute(OpKernelContext* c) override {
    const Tensor& x = c->input(0);
    const int64_t depth = transpose_ ? columns_ : rows_, columns = transpose_ ? rows_ : columns_;
    OP_REQUIRES(c, x.dims() == 2 && x.dim_size(1) == depth,
                errors::InvalidArgument("EspalierMatMulPacked takes x of [any, ", depth, "]"));
    Held held;
    OP_REQUIRES_OK(c, read(c, &held));
    Tensor* out = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({x.dim_size(0), columns}), &out));
    const Product product{static_cast<int>(x.dim_size(0)), static_cast<int>(columns), static_cast<int>(depth),
                          floatsOf(x), depth, false, held, transpose_, floatsOf(out), columns, false};
    ESPALIER_PICK(multiply)(threadsOf(c), product);
  }

 private:
  bool transpose_;
};
REGISTER_KERNEL_BUILDER(Name("EspalierMatMulPacked").Device(DEVICE_CPU), MatMulPacked);

}  // namespace
}  // namespace espalier
