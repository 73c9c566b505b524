// The interface of the kernels to the operators: plain structs, and one table of functions per instruction set. No
// torch.
#pragma once
#include <cstdint>

namespace lossimpl {

enum class Dtype : int { f64, f32, bf16, f16 };

enum class PairLoss : int { l1, mse, smooth_l1, huber, log_cosh, bce, bce_logits, focal };

// Elementwise losses of two tensors. All pointers are to `dtype`, with n elements unless stated.
struct ElementwiseArguments {
  PairLoss loss;
  Dtype dtype;
  const void* input;
  const void* target;
  const void* weight;      // (weight_period,), repeated; or null
  const void* pos_weight;  // (pos_weight_period,), repeated; or null
  const void* upstream;    // incoming gradient per element; null means one
  int64_t weight_period, pos_weight_period;
  void* loss_out;      // reduction none, or null
  void* grad_input;    // null if not wanted
  void* grad_target;   // null if not wanted
  double scale;        // factor of both gradients
  double alpha, beta;  // beta: smooth L1's beta, Huber's delta or focal's gamma; alpha: focal's alpha
  bool stream;         // gradients exceed the cache: use non-temporal stores
  bool use_table;      // there are at least as many elements as bf16 values
};

// Losses over the classes of a row: cross entropy (class indices or probabilities) and softmax focal loss.
struct ClassesArguments {
  Dtype dtype;
  const void* input;          // (rows, classes)
  const int64_t* labels;      // (rows,), or null with probability targets
  const void* probabilities;  // (rows, classes), or null with labels
  const void* weight;         // (classes,) of the compute type, or null
  const double* upstream;     // incoming gradient per row; null means one
  double* losses;             // (rows,), or null: not wanted
  void* grad_input;           // (rows, classes), or null
  void* grad_target;          // (rows, classes), or null
  int64_t classes;
  int64_t ignore_index;
  double scale;                  // factor of the gradients
  double smoothing, weight_sum;  // label smoothing, and the sum of the class weights it uses
  double alpha, gamma;           // focal only; alpha applies if weight is null
  bool focal, stream;
};

// Triplet margin: rows of three tensors.
struct TripletArguments {
  Dtype dtype;
  const void* anchor;  // each (rows, width)
  const void* positive;
  const void* negative;
  const double* upstream;  // incoming gradient per row; null means one
  double* losses;          // (rows,), or null
  void* grad_anchor;       // each (rows, width), or null
  void* grad_positive;
  void* grad_negative;
  int64_t width;
  double scale, margin, p, eps;
  bool swap, stream;
};

struct Kernels {
  const char* name;
  double (*elementwise)(const ElementwiseArguments&, int64_t begin, int64_t end);  // returns the sum of the losses
  double (*sum)(Dtype, const void*, int64_t begin, int64_t end);
  void (*classes)(const ClassesArguments&, int64_t begin, int64_t end);  // rows begin..end
  void (*triplet)(const TripletArguments&, int64_t begin, int64_t end);  // rows begin..end
};

#define LOSSIMPL_DECLARE(isa)                                                    \
  namespace isa {                                                                \
  double elementwise(const ElementwiseArguments& a, int64_t begin, int64_t end); \
  double sum(Dtype dtype, const void* values, int64_t begin, int64_t end);       \
  void classes(const ClassesArguments& a, int64_t begin, int64_t end);           \
  void triplet(const TripletArguments& a, int64_t begin, int64_t end);           \
  }
LOSSIMPL_DECLARE(portable)
#if defined(__x86_64__)
LOSSIMPL_DECLARE(avx2)
LOSSIMPL_DECLARE(avx512)
#endif
#undef LOSSIMPL_DECLARE

// The kernels for the fastest instruction set of this processor, or for the one named by LOSSIMPL_ISA.
const Kernels& kernels();

}  // namespace lossimpl
