// Attention and its gradient as TensorFlow ops.
#include "attention.h"

#include "draw.h"

namespace espalier {
namespace {
using namespace tensorflow;

// The shapes are those of the ops in src/ops/defs/attention.ts.
REGISTER_OP("EspalierAttention")
    .Input("q: float")
    .Input("k: float")
    .Input("v: float")
    .Input("mask: NM * float")
    .Input("seed: NS * int32")
    .Attr("NM: int >= 0")
    .Attr("NS: int >= 0")
    .Attr("scale: float")
    .Attr("cap: float = 0")
    .Attr("dropped: int = 0")
    .Attr("hi: int = 0")
    .Attr("lo: int = 0")
    .Output("output: float")
    .SetShapeFn(unknownShapes);

REGISTER_OP("EspalierAttentionSlope")
    .Input("q: float")
    .Input("k: float")
    .Input("v: float")
    .Input("output: float")
    .Input("dy: float")
    .Input("mask: NM * float")
    .Input("seed: NS * int32")
    .Attr("NM: int >= 0")
    .Attr("NS: int >= 0")
    .Attr("scale: float")
    .Attr("cap: float = 0")
    .Attr("dropped: int = 0")
    .Attr("hi: int = 0")
    .Attr("lo: int = 0")
    .Output("slopes: float")
    .SetShapeFn(unknownShapes);

// What the two have in common: the sizes, and what the mask shows.
class AttentionBase : public OpKernel {
 public:
  explicit AttentionBase(OpKernelConstruction* c) : OpKernel(c), draw_(c) {
    OP_REQUIRES_OK(c, c->GetAttr("scale", &scale_));
    OP_REQUIRES_OK(c, c->GetAttr("cap", &cap_));
  }

 protected:
  // `spans` holds the memory that the result points into.
  Status read(OpKernelContext* c, Attention* of, std::vector<Span>* spans) const {
    const Tensor &q = c->input(0), &k = c->input(1), &v = c->input(2);
    const auto size = [](const Tensor& t, int axis) { return static_cast<int>(t.dim_size(axis)); };
    if (q.dims() != 4 || k.dims() != 4 || v.dims() != 4 || size(k, 1) == 0 || size(q, 1) % size(k, 1) != 0 ||
        size(k, 0) != size(q, 0) || size(v, 0) != size(q, 0) || size(v, 1) != size(k, 1) || size(v, 2) != size(k, 2) ||
        size(k, 3) != size(q, 3))
      return errors::InvalidArgument("attention: the shapes of q, k and v do not fit");
    *of = {size(q, 0), size(q, 1), size(k, 1), size(q, 2), size(k, 2), size(q, 3), size(v, 3),
           floatsOf(q), floatsOf(k), floatsOf(v), nullptr, nullptr, {0, 0, 0}, scale_, cap_};
    TF_RETURN_IF_ERROR(draw_.draw(c, &of->draw));
    OpInputList masks;
    TF_RETURN_IF_ERROR(c->input_list("mask", &masks));
    return masks.size() == 0 ? Status() : readMask(c, masks[0], of, spans);
  }

 private:
  static Status readMask(OpKernelContext* c, const Tensor& mask, Attention* of, std::vector<Span>* spans) {
    const int64_t full[4] = {of->batch, of->heads, of->queries, of->keys};
    int64_t own[4] = {1, 1, 1, 1};
    if (mask.dims() > 4) return errors::InvalidArgument("attention: a mask has four axes at most");
    for (int i = 0; i < mask.dims(); i++) own[i + 4 - mask.dims()] = mask.dim_size(i);
    for (int i = 0; i < 4; i++)
      if (own[i] != 1 && own[i] != full[i]) return errors::InvalidArgument("attention: the mask does not fit");
    int64_t rows = 1;
    for (int i = 2; i >= 0; rows *= own[i--]) of->maskStrides[i] = own[i] == 1 ? 0 : rows;
    spans->resize(rows);
    if (own[3] == of->keys) {
      ESPALIER_PICK(findSpans)(threadsOf(c), floatsOf(mask), rows, of->keys, spans->data());
    } else {
      for (int64_t row = 0; row < rows; row++) (*spans)[row] = {0, floatsOf(mask)[row] == 0 ? 0 : of->keys, true};
    }
    of->mask = floatsOf(mask);
    of->spans = spans->data();
    return Status();
  }

  DrawAttrs draw_;
  float scale_, cap_;
};

class AttentionOp : public AttentionBase {
 public:
  using AttentionBase::AttentionBase;
  void Compute(OpKernelContext* c) override {
    Attention of;
    std::vector<Span> spans;
    OP_REQUIRES_OK(c, read(c, &of, &spans));
    Tensor* output = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({of.batch, of.heads, of.queries, of.depth}), &output));
    if (output->NumElements() > 0) ESPALIER_PICK(attention)(threadsOf(c), of, floatsOf(output));
  }
};
REGISTER_KERNEL_BUILDER(Name("EspalierAttention").Device(DEVICE_CPU), AttentionOp);

class AttentionSlopeOp : public AttentionBase {
 public:
  using AttentionBase::AttentionBase;
  void Compute(OpKernelContext* c) override {
    AttentionSlope slope;
    std::vector<Span> spans;
    OP_REQUIRES_OK(c, read(c, &slope.of, &spans));
    const Attention& of = slope.of;
    const int64_t ofQ = c->input(0).NumElements(), ofK = c->input(1).NumElements(), ofV = c->input(2).NumElements();
    const int64_t read = static_cast<int64_t>(of.batch) * of.heads * of.queries * of.depth;
    OP_REQUIRES(c, c->input(3).NumElements() == read && c->input(4).NumElements() == read,
                errors::InvalidArgument("attention: output and its gradient do not fit"));
    Tensor* slopes = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({ofQ + ofK + ofV}), &slopes));
    slope.output = floatsOf(c->input(3));
    slope.dy = floatsOf(c->input(4));
    slope.dq = floatsOf(slopes);
    slope.dk = slope.dq + ofQ;
    slope.dv = slope.dk + ofK;
    slope.parts = nullptr;
    Tensor parts;
    if (of.heads > of.groups) {
      OP_REQUIRES_OK(c, c->allocate_temp(DT_FLOAT, TensorShape({(ofK + ofV) * (of.heads / of.groups)}), &parts));
      slope.parts = floatsOf(&parts);
    }
    if (slopes->NumElements() > 0) ESPALIER_PICK(attentionSlope)(threadsOf(c), slope);
  }
};
REGISTER_KERNEL_BUILDER(Name("EspalierAttentionSlope").Device(DEVICE_CPU), AttentionSlopeOp);

}  // namespace
}  // namespace espalier
