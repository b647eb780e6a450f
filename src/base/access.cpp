// SPDX-License-Identifier: Apache-2.0
#include "segue/access.hpp"

namespace segue {

std::string_view to_string(Access access) {
  switch (access) {
    case Access::kRead: return "Read";
    case Access::kWrite: return "Write";
    case Access::kReadWrite: return "ReadWrite";
  }
  return "Unknown";
}

std::string_view to_string(HazardKind kind) {
  switch (kind) {
    case HazardKind::kReadAfterWrite: return "ReadAfterWrite";
    case HazardKind::kWriteAfterRead: return "WriteAfterRead";
    case HazardKind::kWriteAfterWrite: return "WriteAfterWrite";
  }
  return "Unknown";
}

std::string_view to_string(OpKind kind) {
  switch (kind) {
    case OpKind::kOther: return "Other";
    case OpKind::kRmsNorm: return "RmsNorm";
    case OpKind::kElemMul: return "ElemMul";
    case OpKind::kElemAdd: return "ElemAdd";
    case OpKind::kSdpa: return "Sdpa";
    case OpKind::kSoftmax: return "Softmax";
    case OpKind::kMatMul: return "MatMul";
    case OpKind::kMatVec: return "MatVec";
    case OpKind::kRope: return "Rope";
    case OpKind::kCopy: return "Copy";
    case OpKind::kFill: return "Fill";
    case OpKind::kGather: return "Gather";
    case OpKind::kSilu: return "Silu";
    case OpKind::kSiluMul: return "SiluMul";
    case OpKind::kArgmax: return "Argmax";
    case OpKind::kSample: return "Sample";
    case OpKind::kKvAppend: return "KvAppend";
    case OpKind::kRepack: return "Repack";
  }
  return "Unknown";
}

}  // namespace segue
