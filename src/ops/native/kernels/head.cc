// The fused head as a TensorFlow op.
#include "head.h"

#include <vector>

#include "op.h"

namespace espalier {
namespace {
using namespace tensorflow;

constexpr int64_t kRows = 512;  // at once: more would only make the workspace larger

REGISTER_OP("EspalierHeadLoss")
    .Input("hidden: float")
    .Input("weight: float")
    .Input("bias: NB * float")
    .Input("labels: int32")
    .Attr("NB: int >= 0")
    .Attr("ignore: int")
    .Attr("transpose: bool = false")
    .Attr("cap: float = 0")
    .Attr("slope: bool = false")
    .Output("out: float")
    .SetShapeFn(unknownShapes);

class HeadLossOp : public OpKernel {
 public:
  explicit HeadLossOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("ignore", &ignore_));
    OP_REQUIRES_OK(c, c->GetAttr("transpose", &transpose_));
    OP_REQUIRES_OK(c, c->GetAttr("cap", &cap_));
    OP_REQUIRES_OK(c, c->GetAttr("slope", &slope_));
  }
  void Compute(OpKernelContext* c) override {
    const Tensor &hidden = c->input(0), &weight = c->input(1), &labels = c->input(c->num_inputs() - 1);
    OpInputList bias;
    OP_REQUIRES_OK(c, c->input_list("bias", &bias));
    OP_REQUIRES(c, hidden.dims() == 2 && weight.dims() == 2,
                errors::InvalidArgument("EspalierHeadLoss takes matrices"));
    const int64_t rows = hidden.dim_size(0), width = hidden.dim_size(1), classes = weight.dim_size(!transpose_);
    OP_REQUIRES(c, weight.dim_size(transpose_) == width && labels.NumElements() == rows &&
                       (bias.size() == 0 || bias[0].NumElements() == classes),
                errors::InvalidArgument("EspalierHeadLoss: sizes differ"));
    const auto label = labels.flat<int32>();
    std::vector<int> counted;
    for (int row = 0; row < rows; row++) {
      if (label(row) == ignore_) continue;
      OP_REQUIRES(c, label(row) >= 0 && label(row) < classes,
                  errors::InvalidArgument("label ", label(row), " of row ", row, " is none of ", classes, " classes"));
      counted.push_back(row);
    }
    Tensor* out = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({slope_ ? rows * width + rows : rows}), &out));
    float* slopes = floatsOf(out);
    float* losses = slopes + (slope_ ? rows * width : 0);
    // Ignored rows are left out of all work: those that count are copied together, and their results put in place.
    std::fill(slopes, losses + rows, 0.f);
    const int64_t most = std::min<int64_t>(kRows, counted.size());
    Tensor gathered, workspace;
    const int threads = threadsOf(c).count;
    HeadLoss head{static_cast<int>(most), static_cast<int>(width), static_cast<int>(classes), nullptr,
                  denseMatrix(floatsOf(weight), weight.dim_size(1)), transpose_,
                  bias.size() == 0 ? nullptr : floatsOf(bias[0]), nullptr, cap_, nullptr, slopes};
    if (!slope_) head.slopes = nullptr;
    OP_REQUIRES_OK(c, c->allocate_temp(DT_FLOAT, TensorShape({(slope_ ? 2 : 1) * most * width + most}), &gathered));
    OP_REQUIRES_OK(c, c->allocate_temp(DT_FLOAT, TensorShape({headWorkspace(head, threads)}), &workspace));
    float* chunk = floatsOf(&gathered);
    std::vector<int32_t> chunkLabels(most);
    for (size_t from = 0; from < counted.size(); from += most) {
      head.rows = std::min<int64_t>(most, counted.size() - from);
      for (int i = 0; i < head.rows; i++) {
        const int row = counted[from + i];
        std::copy_n(floatsOf(hidden) + row * width, width, chunk + i * width);
        chunkLabels[i] = label(row);
      }
      head.hidden = chunk;
      head.labels = chunkLabels.data();
      head.losses = chunk + most * width;
      if (slope_) head.slopes = head.losses + most;
      ESPALIER_PICK(headLoss)(threadsOf(c), head, floatsOf(&workspace));
      for (int i = 0; i < head.rows; i++) {
        const int64_t row = counted[from + i];
        losses[row] = head.losses[i];
        if (slope_) std::copy_n(head.slopes + i * width, width, slopes + row * width);
      }
    }
  }

 private:
  int ignore_;
  bool transpose_, slope_;
  float cap_;
};
REGISTER_KERNEL_BUILDER(Name("EspalierHeadLoss").Device(DEVICE_CPU), HeadLossOp);

}  // namespace
}  // namespace espalier
