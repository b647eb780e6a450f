// SPDX-License-Identifier: Apache-2.0
#include "unit/architecture/api_status.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace segue::architecture {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ApiStatus, EveryPublicMethodHasARowAndEveryRowAMethod) {
  const auto& tree = project_tree();
  const auto document = std::ranges::find(tree, "docs/api-status.md", &SourceFile::path);
  ASSERT_NE(document, tree.end());
  const std::vector<ApiMethod> api = public_api(tree);
  EXPECT_GT(api.size(), 200U);
  for (const std::string& fault : status_faults(test::parse_status_table(document->lines), api))
    ADD_FAILURE() << fault;
}

TEST(ApiStatus, ARowIsReadWithItsCellsAndTheirFootnotes) {
  const test::StatusTable table = test::parse_status_table(split_lines(R"(
# Methods
| cell | means |
## a.hpp
| method | host | Vulkan | CUDA | Metal |
|---|---|---|---|---|
| `A::f` | yes | partly[^one][^two] | - | no[^one] |
## Footnotes
[^one]: Why,
    on two lines.
[^two]: Why not.)"));
  ASSERT_EQ(table.rows.size(), 1U);
  const test::StatusRow& row = table.rows[0];
  EXPECT_EQ(row.header, "a.hpp");
  EXPECT_EQ(row.method, "A::f");
  EXPECT_EQ(row.cells[0].says, "yes");
  EXPECT_EQ(row.cells[1].says, "partly");
  EXPECT_THAT(row.cells[1].notes, ElementsAre("one", "two"));
  EXPECT_EQ(row.cells[2].says, "-");
  EXPECT_EQ(row.cells[3].says, "no");
  EXPECT_THAT(row.cells[3].notes, ElementsAre("one"));
  EXPECT_THAT(table.notes, ElementsAre("one", "two"));
}

/// The faults of rows under a.hpp, which declares f, and footnotes.
std::vector<std::string> faults_of(const std::string& text) {
  return status_faults(test::parse_status_table(split_lines("## a.hpp\n" + text)),
                       {{"a.hpp", "f"}});
}

TEST(ApiStatus, PlantedFaultsAreReported) {
  const std::string row = "| `f` | yes | yes | - | yes |\n";
  EXPECT_THAT(faults_of(row), IsEmpty());
  EXPECT_THAT(faults_of("| `f` | yes | no[^n] | - | yes[^n] |\n[^n]: Why."), IsEmpty());
  EXPECT_THAT(faults_of(""), ElementsAre("f of a.hpp has no row."));
  EXPECT_THAT(faults_of(row + row), ElementsAre("f has two rows under a.hpp."));
  EXPECT_THAT(faults_of(row + "| `g` | yes | yes | - | yes |"),
              ElementsAre("Row g names no method of a.hpp."));
  EXPECT_THAT(faults_of("## b.hpp\n" + row),
              ElementsAre("Row f names no method of b.hpp.", "f of a.hpp has no row."));
  EXPECT_THAT(faults_of("| `f` | soon | yes | - | yes |"),
              ElementsAre("Row f says \"soon\" for host; yes, no, partly or - is allowed."));
  EXPECT_THAT(faults_of("| `f` | yes | yes | - |"),
              ElementsAre("Row f says \"\" for metal; yes, no, partly or - is allowed."));
  EXPECT_THAT(faults_of("| `f` | yes | partly | - | yes |"),
              ElementsAre("Row f says partly for vulkan without a footnote."));
  EXPECT_THAT(faults_of("| `f` | yes | no[^n] | - | yes |"), ElementsAre("Footnote n is missing."));
  EXPECT_THAT(faults_of(row + "[^n]: Why."), ElementsAre("Footnote n is used nowhere."));
  EXPECT_THAT(faults_of("| `f` | no[^n] | yes | - | yes |\n[^n]: Why.\n[^n]: Because."),
              ElementsAre("Footnote n is written twice."));
  EXPECT_THAT(faults_of(row + "| `g` | yes | - | yes | yes |"),
              ElementsAre("Row g names no method of a.hpp.",
                          "Row g says \"-\" for vulkan, which the first row does not.",
                          "Row g says \"yes\" for cuda, which the first row does not."));
}

// -- The reader of headers

TEST(PublicApi, FindsMethodsAndFreeFunctionsOnce) {
  EXPECT_THAT(public_methods(R"(
#define SKIPPED(x) \
  f(x)
namespace segue {
class Declared;
[[nodiscard]] constexpr bool plain(int a) { return a < 3 && (a << 1) > 0; }
std::string_view plain(double);
std::map<int, std::vector<int>> nested(std::function<void(int)> callback = {});
template <class T = std::vector<int>>
  requires(sizeof(T) > 1)
T made(const T& value);
namespace ops {
int in_ops(char c = '{', const char* text = "} // \" {");
}
}  // namespace segue
namespace segue::verify { void in_verify(); }
)"),
              ElementsAre("made", "nested", "ops::in_ops", "plain", "verify::in_verify"));
}

TEST(PublicApi, ReadsClassesAndStructsWithTheirAccess) {
  EXPECT_THAT(public_methods(R"(
namespace segue {
class A final : public B<int> {
  void hidden();
 public:
  static Result<A> create(int = {});
  [[nodiscard]] auto begin() const { return span().begin(); }
  void defined() const noexcept override;
  struct Inner { int field = 0; int get() const; };
  enum class Kind : int { kOne = f(1), kTwo };
  void after_enum();
 private:
  void secret();
  struct Hidden { void nothing(); };
 public:
  void again();
};
template <class T>
struct alignas(64) S {
  int count{0}, other = compute(3);
  std::function<bool(int)> accepts = {};
  static constexpr int kSize = size_of(4);
  void open();
 protected:
  void closed();
};
void last();
}
)"),
              ElementsAre("A::Inner::get", "A::after_enum", "A::again", "A::begin", "A::create",
                          "A::defined", "S::open", "last"));
}

TEST(PublicApi, LeavesOutWhatHasNoNameToCall) {
  EXPECT_THAT(public_methods(R"(
namespace segue {
class A {
 public:
  A() = default;
  explicit A(int x) : x_{x}, y_(f(x)), z_{} {}
  A(A&& other) noexcept : x_(std::exchange(other.x_, 0)) {}
  A& operator=(A&&) = default;
  ~A() { release(); }
  explicit operator bool() const { return x_ != 0; }
  int& operator()(int i) const;
  int operator<(int i) const;
  friend bool operator==(const A&, const A&) = default;
  friend void swap(A& a, A& b);
  friend class B;
  using Base::method;
  using Function = std::function<void(int)>;
  static_assert(sizeof(int) == 4, "text");
  void kept();
  int x_;
};
})"),
              ElementsAre("A::kept"));
}

TEST(PublicApi, LeavesOutWhatIsForTheLibraryItself) {
  EXPECT_THAT(public_methods(R"(
namespace segue {
namespace runtime { class State; void add(State*); }
namespace detail { struct D { void f(); }; }
namespace segue::base { int b(); }
class A {
 public:
  /// For the library itself.
  State* state() const { return state_; }
  void one();
  /// @name For the library itself.
  /// @{
  int kind();
  /// Another word.
  int size();
  /// @}
  void two();
  /// @name Users
  /// @{
  void three();
  /// @}
  int field = 0;  ///< For the library itself.
  void four();
};
void five();
})"),
              ElementsAre("A::four", "A::one", "A::three", "A::two", "five"));
}

TEST(PublicApi, LeavesOutHeadersOfBackendsAndOtherFolders) {
  const std::vector<std::string> lines{"namespace segue {", "void f();", "}"};
  EXPECT_THAT(public_api({{"include/segue/a.hpp", lines},
                          {"include/segue/host.hpp", lines},
                          {"include/segue/cuda.hpp", lines},
                          {"src/base/b.hpp", lines}}),
              ElementsAre(ApiMethod{"a.hpp", "f"}));
}

}  // namespace
}  // namespace segue::architecture
