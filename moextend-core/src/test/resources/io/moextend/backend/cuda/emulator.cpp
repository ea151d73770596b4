// Runs kernels on one host thread; see emulator.hpp.
#include "emulator.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulator {
namespace {
constexpr size_t STACK = 128 << 10;
constexpr size_t ZONE = 256;
constexpr unsigned char POISON = 0xff;

struct Kernel {
  void (*function)();
  Call call;
  int threads;
};
std::map<std::string, Kernel>& kernels() {
  static std::map<std::string, Kernel> all;
  return all;
}

// Memory of a block with a zone behind it that nobody may write.
struct Zoned {
  std::unique_ptr<unsigned char[]> memory;
  size_t bytes;
  explicit Zoned(size_t n) : memory(new unsigned char[n + ZONE + 128]), bytes(n) { poison(); }
  unsigned char* at() { return (unsigned char*)(((uintptr_t)memory.get() + 127) & ~(uintptr_t)127); }
  void poison() { memset(at(), POISON, bytes + ZONE); }
  bool whole() {
    return std::all_of(at() + bytes, at() + bytes + ZONE, [](unsigned char c) { return c == POISON; });
  }
};

struct Meeting {  // lanes of one warp that wait for each other
  unsigned mask = 0, arrived = 0;
  Action act = nullptr;
  Deposit lanes[WARP];
};

std::mutex one_launch;
std::string problem;
std::vector<Fiber> fibers;
std::vector<std::vector<Meeting>> meetings;  // by warp
std::unique_ptr<unsigned char[]> stacks;
size_t stack_count;
void* scheduler;
int waiting, alive;
std::vector<int> at_barrier;
std::map<const void*, Zoned> statics;
std::unique_ptr<Zoned> dynamic;
void (*function)();
Call invoke;
void** arguments;
uint64_t randomness = 1;
std::string kernel_name;

unsigned scrambled(unsigned bound) {
  randomness = randomness * 6364136223846793005ull + 1442695040888963407ull;
  return (unsigned)((randomness >> 33) % bound);
}

struct Failed {};

#if defined(__x86_64__)
extern "C" void emulator_switch(void** save, void* load);
asm(R"(
.text
.globl emulator_switch
.hidden emulator_switch
.type emulator_switch,@function
emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulator_switch,.-emulator_switch
)");
#endif

[[noreturn]] void run_fiber();

#if defined(__x86_64__)
void prepare(Fiber& f, unsigned char* stack) {
  auto top = (uintptr_t)(stack + STACK) & ~(uintptr_t)15;
  auto* slots = (void**)top;
  slots[-1] = nullptr;            // where a return address of run_fiber's caller would be
  slots[-2] = (void*)&run_fiber;  // entered with the stack 8 off a multiple of 16, as by a call
  f.stack_pointer = slots - 8;    // six registers below
}
void to_fiber(Fiber& f) { emulator_switch(&scheduler, f.stack_pointer); }
void to_scheduler(Fiber& f) { emulator_switch(&f.stack_pointer, scheduler); }
#else
std::vector<ucontext_t> contexts;
ucontext_t home;
void prepare(Fiber& f, unsigned char* stack) {
  contexts.resize(fibers.size());
  ucontext_t& c = contexts[&f - fibers.data()];
  getcontext(&c);
  c.uc_stack.ss_sp = stack;
  c.uc_stack.ss_size = STACK;
  c.uc_link = &home;
  makecontext(&c, (void (*)()) & run_fiber, 0);
}
void to_fiber(Fiber& f) { swapcontext(&home, &contexts[&f - fibers.data()]); }
void to_scheduler(Fiber& f) { swapcontext(&contexts[&f - fibers.data()], &home); }
#endif

void release_barrier() {
  if (waiting > 0 && waiting == alive) {
    for (int i : at_barrier) {
      fibers[i].running = true;
    }
    at_barrier.clear();
    waiting = 0;
  }
}

void stop() {
  Fiber& own = *now;
  own.running = false;
  to_scheduler(own);
}

void run_fiber() {
  invoke(function, arguments);
  Fiber& own = *now;
  own.finished = true;
  alive--;
  release_barrier();
  stop();
  __builtin_trap();
}

std::string where() {
  auto text = [](const Place& p) {
    return "(" + std::to_string(p.x) + ", " + std::to_string(p.y) + ", " + std::to_string(p.z) + ")";
  };
  return kernel_name + ", block " + text(block_index) + " of " + text(grid_size) + ", thread " +
         (now ? text(now->thread) : "-");
}

// Runs each lane of a warp that can to its next stop; false where none can.
bool run_warp(unsigned warp, unsigned threads) {
  unsigned lanes = std::min<unsigned>(WARP, threads - warp * WARP);
  bool any = false, down = scrambled(2) == 1;
  for (unsigned n = 0, first = scrambled(lanes); n < lanes; n++) {
    unsigned i = warp * WARP + (first + (down ? lanes - n : n)) % lanes;
    if (fibers[i].running) {
      any = true;
      now = &fibers[i];
      to_fiber(fibers[i]);
      if (!problem.empty()) {
        return true;
      }
    }
  }
  return any;
}

void run_block(unsigned threads) {
  fibers.assign(threads, Fiber());
  meetings.assign((threads + WARP - 1) / WARP, {});
  at_barrier.clear();
  waiting = 0;
  alive = (int)threads;
  if (stack_count < threads) {
    stacks.reset(new unsigned char[threads * STACK]);
    stack_count = threads;
  }
  for (unsigned i = 0; i < threads; i++) {
    Fiber& f = fibers[i];
    f.thread = {i % block_size.x, i / block_size.x % block_size.y, i / (block_size.x * block_size.y)};
    f.lane = (int)i % WARP;
    f.warp = (int)i / WARP;
    f.running = true;
    prepare(f, stacks.get() + i * STACK);
  }
  for (auto& s : statics) {
    s.second.poison();
  }
  dynamic->poison();
  unsigned warps = (threads + WARP - 1) / WARP;
  while (alive > 0) {
    // Any warp that can, for a while that is now short, now long: one may be far ahead of the others.
    bool any = false;
    for (unsigned n = 0, w = scrambled(warps); n < warps; n++, w = (w + 1) % warps) {
      unsigned rounds = 1u << scrambled(8);
      while (rounds-- > 0 && run_warp(w, threads)) {
        any = true;
        if (!problem.empty()) {
          return;
        }
      }
    }
    if (!any && alive > 0) {
      now = nullptr;
      problem = where() + ": " + std::to_string(waiting) + " of " + std::to_string(alive) +
                " threads wait at a barrier, the others for lanes of their warp that do not come";
      return;
    }
  }
  for (auto& s : statics) {
    if (!s.second.whole()) {
      problem = where() + ": written behind a shared array";
    }
  }
  if (!dynamic->whole()) {
    problem = where() + ": written behind the dynamic shared memory";
  }
}
}  // namespace

Fiber* now;
Place block_index, block_size, grid_size;

void fail(const std::string& what) {
  if (problem.empty()) {
    problem = where() + ": " + what;
  }
  stop();  // not run again
}

void enter(const char* name, void (*kernel)(), Call call, int threads) {
  kernels()[name] = {kernel, call, threads};
}

void barrier() {
  waiting++;
  at_barrier.push_back((int)(now - fibers.data()));
  now->running = false;
  if (waiting == alive) {
    release_barrier();
    return;  // the last one goes on
  }
  stop();
}

void collective(unsigned mask, Action act, Deposit own) {
  Fiber& me = *now;
  int lanes = std::min<int>(WARP, (int)fibers.size() - me.warp * WARP);
  unsigned present = lanes == WARP ? mask : mask & ((1u << lanes) - 1);
  if (!(present >> me.lane & 1)) {
    fail("a lane that its own mask leaves out");
  }
  auto& open = meetings[me.warp];
  Meeting* meeting = nullptr;
  for (auto& m : open) {
    if (m.arrived != 0 && (m.mask & present) != 0) {
      meeting = &m;
    }
  }
  if (meeting == nullptr) {
    for (auto& m : open) {
      if (m.arrived == 0) {
        meeting = &m;
      }
    }
    if (meeting == nullptr) {
      open.emplace_back();
      meeting = &open.back();
    }
    meeting->mask = present;
    meeting->act = act;
  }
  if (meeting->mask != present || meeting->act != act) {
    fail("lanes of a warp meet at different instructions");
  }
  meeting->arrived |= 1u << me.lane;
  meeting->lanes[me.lane] = own;
  if (meeting->arrived != present) {
    stop();
    return;
  }
  act(meeting->lanes, present);
  meeting->arrived = 0;
  for (int l = 0; l < lanes; l++) {
    if (present >> l & 1) {
      fibers[me.warp * WARP + l].running = true;
    }
  }
}

void* shared(const void* tag, size_t bytes) {
  auto found = statics.find(tag);
  if (found == statics.end()) {
    found = statics.emplace(tag, Zoned(bytes)).first;
  }
  return found->second.at();
}

void* dynamic_shared() { return dynamic->at(); }

const void* aligned16(const void* p) {
  if ((uintptr_t)p & 15) {
    fail("an access of 16 bytes at an address that is no multiple of 16");
  }
  return p;
}

void copy_async(void* shared, const void* from, bool valid) {
  aligned16((const void*)from);
  aligned16((const void*)shared);
  auto* to = (unsigned char*)shared;
  if (to < dynamic->at() || to + 16 > dynamic->at() + dynamic->bytes) {
    fail("an asynchronous copy outside of the dynamic shared memory");
  }
  memset(shared, POISON, 16);
  now->copies.push_back({shared, from, valid, now->group});
}

// Shared memory's addresses, from a multiple of 1024 on.
uintptr_t window() { return (uintptr_t)dynamic->at() & ~(uintptr_t)1023; }
unsigned shared_address(const void* p) { return (unsigned)((uintptr_t)p - window()); }
const void* shared_at(unsigned address) {
  auto* p = (unsigned char*)(window() + address);
  if (p < dynamic->at() || p >= dynamic->at() + dynamic->bytes) {
    fail("a product reads outside of the dynamic shared memory");
  }
  return p;
}

void copy_commit() { now->group++; }

void copy_wait(int pending) {
  auto& copies = now->copies;
  size_t kept = 0;
  for (auto& c : copies) {
    if (c.group < now->group - pending) {
      if (c.valid) {
        memcpy(c.to, c.from, 16);
      } else {
        memset(c.to, 0, 16);
      }
    } else {
      copies[kept++] = c;
    }
  }
  copies.resize(kept);
}

}  // namespace emulator

using namespace emulator;

extern "C" __attribute__((visibility("default"))) int emulator_has(const char* kernel) {
  return kernels().count(kernel) > 0;
}

// What went wrong in the last launch, or "".
extern "C" __attribute__((visibility("default"))) const char* emulator_problem() {
  return problem.c_str();
}

// 0: done; 1: no such kernel; 2: sizes no device takes; 3: it broke a rule, see emulator_problem.
extern "C" __attribute__((visibility("default"))) int emulator_launch(
    const char* kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
    unsigned bz, unsigned shared_bytes, void** parameters) {
  std::lock_guard<std::mutex> lock(one_launch);
  problem.clear();
  auto found = kernels().find(kernel);
  if (found == kernels().end()) {
    problem = std::string("no kernel is called ") + kernel;
    return 1;
  }
  unsigned threads = bx * by * bz;
  unsigned long long blocks = (unsigned long long)gx * gy * gz;
  if (threads == 0 || threads > (unsigned)found->second.threads || blocks == 0 || gy > 65535 ||
      gz > 65535 || shared_bytes > 227u << 10) {
    problem = std::string(kernel) + ": " + std::to_string(threads) + " threads, " +
              std::to_string(gx) + " x " + std::to_string(gy) + " x " + std::to_string(gz) +
              " blocks or " + std::to_string(shared_bytes) + " bytes of shared memory are no launch";
    return 2;
  }
  kernel_name = kernel;
  function = found->second.function;
  invoke = found->second.call;
  arguments = parameters;
  grid_size = {gx, gy, gz};
  block_size = {bx, by, bz};
  statics.clear();
  dynamic.reset(new Zoned(shared_bytes));
  std::vector<unsigned> order(blocks);
  for (unsigned long long i = 0; i < blocks; i++) {
    order[i] = (unsigned)i;
  }
  for (unsigned long long i = blocks; i > 1; i--) {
    std::swap(order[i - 1], order[scrambled((unsigned)i)]);
  }
  for (unsigned b : order) {
    block_index = {b % gx, b / gx % gy, b / (gx * gy)};
    run_block(threads);
    if (!problem.empty()) {
      return 3;
    }
  }
  now = nullptr;
  return 0;
}
