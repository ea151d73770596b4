package io.moextend.comm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What every {@link Collective} must do; a subclass says how its ranks are connected. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class CollectiveContract {
  private static final int BYTES = 40_000;

  @TempDir Path folder;

  protected abstract Stream<Wiring> wirings();

  protected Stream<Wiring> several() {
    return wirings().filter(w -> w.world() > 1);
  }

  @ParameterizedTest
  @MethodSource("wirings")
  void twoHundredMixedCallsGiveTheBitsOfPlainLoops(Wiring wiring) {
    long seed = new Random().nextLong();
    RankThreads.run(
        wiring,
        folder,
        collective -> {
          var random = new Random(seed);
          try (Buffer buffer = collective.buffer("mixed-1.a", BYTES)) {
            for (int i = 0; i < 200; i++) {
              Step step = Step.random(random, wiring.world(), BYTES);
              check(step, collective, buffer, wiring, seed);
            }
          }
        });
  }

  /** The next call's inputs are written as soon as a call returns: nobody may still read them. */
  private static void check(
      Step step, Collective collective, Buffer buffer, Wiring wiring, long seed) {
    int bytes = (int) buffer.bytes();
    var before = new ByteBuffer[wiring.world()];
    for (int r = 0; r < before.length; r++) {
      before[r] = PlainLoops.inputs(step.payload(), step.seed(), r, bytes);
    }
    int rank = collective.rank();
    buffer.segment().copyFrom(MemorySegment.ofBuffer(before[rank]));
    step.run(collective, buffer);
    byte[] expected = PlainLoops.after(step, rank, before, wiring.hosts()).array();
    byte[] actual = buffer.segment().toArray(ValueLayout.JAVA_BYTE);
    if (step.kind() == Step.Kind.REDUCE_SCATTER) {
      forgetUndefined(step, rank, wiring.world(), expected);
      forgetUndefined(step, rank, wiring.world(), actual);
    }
    assertThat(Arrays.mismatch(actual, expected))
        .as("first wrong byte of rank %d after %s, seed %d", rank, step, seed)
        .isEqualTo(-1);
  }

  private static void forgetUndefined(Step step, int rank, int world, byte[] memory) {
    int size = step.payload().bytes();
    int each = (step.to() - step.from()) / world;
    int mine = step.from() + rank * each;
    Arrays.fill(memory, step.from() * size, mine * size, (byte) 0);
    Arrays.fill(memory, (mine + each) * size, step.to() * size, (byte) 0);
  }

  @ParameterizedTest
  @MethodSource("wirings")
  void slicesLargerThanAnyScratchAreSummedToTheBit(Wiring wiring) {
    long seed = new Random().nextLong();
    int count = 4_200_011 / wiring.world() * wiring.world() + 1;
    RankThreads.run(
        wiring,
        folder,
        collective -> {
          try (Buffer buffer = collective.buffer("large", 4L * count + 4)) {
            for (Step.Kind kind : List.of(Step.Kind.ALL_REDUCE, Step.Kind.REDUCE_SCATTER)) {
              int to = kind == Step.Kind.ALL_REDUCE ? count + 1 : count;
              check(
                  new Step(kind, Payload.F32, 1, to, 0, 0, seed), collective, buffer, wiring, seed);
            }
          }
        });
  }

  @ParameterizedTest
  @MethodSource("wirings")
  void notANumberAndInfinityReachEveryRank(Wiring wiring) {
    for (Payload payload : List.of(Payload.F32, Payload.BF16, Payload.F64)) {
      RankThreads.run(
          wiring,
          folder,
          collective -> {
            try (Buffer buffer = collective.buffer("odd", 100L * payload.bytes())) {
              ByteBuffer memory = buffer.segment().asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
              boolean last = collective.rank() == collective.world() - 1;
              for (int i = 0; i < 100; i++) {
                PlainLoops.set(memory, payload, i, 1);
              }
              PlainLoops.set(memory, payload, 3, last ? Double.NaN : 1);
              PlainLoops.set(memory, payload, 97, last ? Double.NEGATIVE_INFINITY : 1);
              collective.allReduce("odd numbers", buffer.slice(payload, 0, 100));
              assertThat(PlainLoops.get(memory, payload, 3)).isNaN();
              assertThat(PlainLoops.get(memory, payload, 97)).isEqualTo(Double.NEGATIVE_INFINITY);
              assertThat(PlainLoops.get(memory, payload, 4)).isEqualTo(collective.world());
            }
          });
    }
  }

  @ParameterizedTest
  @MethodSource("wirings")
  void aFreshBufferIsZeroAlignedAndOfTheAskedSize(Wiring wiring) {
    RankThreads.run(
        wiring,
        folder,
        collective -> {
          for (int i = 0; i < 3; i++) {
            try (Buffer buffer = collective.buffer("again", 4099)) {
              assertThat(buffer.bytes()).isEqualTo(4099);
              assertThat(buffer.segment().address() % 64).isZero();
              assertThat(buffer.segment().toArray(ValueLayout.JAVA_BYTE)).containsOnly(0);
              buffer.segment().fill((byte) 7);
            }
          }
          try (Buffer empty = collective.buffer("empty", 0)) {
            collective.allReduce("nothing", empty.slice(Payload.F32, 0, 0));
          }
        });
  }

  @ParameterizedTest
  @MethodSource("several")
  void aRankThatDoesNotComeIsNamedByEveryOther(Wiring wiring) {
    for (int missing : new int[] {0, wiring.world() - 1}) {
      List<Throwable> failures =
          RankThreads.failures(
              wiring,
              folder,
              Duration.ofMillis(500),
              collective -> {
                try (Buffer buffer = collective.buffer("b", 4000)) {
                  collective.barrier("all are there");
                  if (collective.rank() != missing) {
                    collective.allReduce("gradients", buffer.slice(Payload.F32, 0, 1000));
                  }
                }
              });
      for (int r = 0; r < wiring.world(); r++) {
        if (r == missing) {
          assertThat(failures.get(r)).isNull();
        } else {
          assertThat(failures.get(r))
              .as("rank %d", r)
              .isInstanceOf(PeerLostException.class)
              .hasMessageContaining("all-reduce (gradients)")
              .extracting(e -> ((PeerLostException) e).rank())
              .isEqualTo(missing);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("several")
  void ranksInDifferentCallsAreToldSo(Wiring wiring) {
    List<Throwable> failures =
        RankThreads.failures(
            wiring,
            folder,
            Duration.ofSeconds(2),
            collective -> {
              try (Buffer buffer = collective.buffer("b", 4000)) {
                int count = collective.rank() == 0 ? 1000 : 996;
                collective.allReduce("step 7", buffer.slice(Payload.F32, 0, count));
              }
            });
    assertThat(failures)
        .anySatisfy(
            e ->
                assertThat(e)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("all-reduce of [0, 996) F32 in b (step 7)")
                    .hasMessageContaining("[0, 1000)"));
    assertThat(failures).noneMatch(Objects::isNull);
  }

  @ParameterizedTest
  @MethodSource("wirings")
  void theVigilHearsOfEveryCallInOrder(Wiring wiring) {
    var heard = Collections.synchronizedList(new ArrayList<String>());
    List<Throwable> failures =
        RankThreads.failures(
            wiring,
            folder,
            rank -> rank == 0 ? new Diary(heard) : new Patience(rank, Duration.ofSeconds(30)),
            collective -> {
              try (Buffer buffer = collective.buffer("b", 4000)) {
                collective.barrier("start");
                collective.broadcast("seeds", buffer.slice(Payload.BYTES, 0, 10), 0);
              }
            });
    assertThat(failures).containsOnlyNulls();
    assertThat(heard)
        .containsExactly(
            "1 buffer (b)",
            "1 left",
            "2 barrier (start)",
            "2 left",
            "3 broadcast from 0 (seeds)",
            "3 left");
  }

  private record Diary(List<String> heard) implements Vigil {
    @Override
    public void entered(long sequence, String operation) {
      if (sequence > 0) { // 0 is meeting
        heard.add(sequence + " " + operation);
      }
    }

    @Override
    public void waiting(int peer) {}

    @Override
    public void left(long sequence) {
      if (sequence > 0) {
        heard.add(sequence + " left");
      }
    }
  }

  @ParameterizedTest
  @MethodSource("several")
  void inEveryCallWaitingForALateRankIsCountedAsThat(Wiring wiring) {
    var entered = new AtomicLong();
    List<Throwable> failures =
        RankThreads.failures(
            wiring,
            folder,
            rank -> LateRank.vigil(rank, entered),
            collective -> {
              var late = new LateRank(collective, entered);
              late.comes();
              try (Buffer buffer = collective.buffer("b", 4000)) {
                late.assertCounted("buffer");
                Buffer.Slice from = buffer.slice(Payload.F32, 0, 240);
                Buffer.Slice into = buffer.slice(Payload.F32, 240, 480);
                Map<String, Runnable> calls = new LinkedHashMap<>();
                calls.put("barrier", () -> collective.barrier("x"));
                calls.put("broadcast", () -> collective.broadcast("x", from, 0));
                calls.put("all-to-all", () -> collective.allToAll("x", from, into));
                calls.put("all-reduce", () -> collective.allReduce("x", from));
                for (var call : calls.entrySet()) {
                  late.comes();
                  call.getValue().run();
                  late.assertCounted(call.getKey());
                }
              }
            });
    assertThat(failures).containsOnlyNulls();
  }

  @ParameterizedTest
  @MethodSource("several")
  void buffersThatWereClosedLeaveNothingBehind(Wiring wiring) throws IOException {
    long before = bytesOutsideTheHeap();
    RankThreads.run(
        wiring,
        folder,
        collective -> {
          for (int i = 0; i < 40; i++) {
            try (Buffer buffer = collective.buffer("round", 8L << 20)) {
              buffer.segment().fill((byte) 1);
              collective.allReduce("round", buffer.slice(Payload.F32, 0, 1 << 20));
            }
          }
        });
    assertThat(bytesOutsideTheHeap() - before)
        .as("growth after %d MiB a rank", 40 * 8)
        .isLessThan(wiring.world() * (160L << 20));
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).isEmpty();
    }
  }

  private static long bytesOutsideTheHeap() throws IOException {
    long all = 4096 * Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]);
    return all - Runtime.getRuntime().totalMemory();
  }

  @ParameterizedTest
  @MethodSource("several")
  void badArgumentsAreRefusedBeforeAnyoneWaits(Wiring wiring) {
    RankThreads.run(
        wiring,
        folder,
        collective -> {
          assertRefused("buffer name \"a/b\"", () -> collective.buffer("a/b", 8).close());
          try (Buffer buffer = collective.buffer("b", 4000)) {
            assertRefused("still open", () -> collective.buffer("b", 8).close());
            assertRefused(
                "BYTES cannot be summed",
                () -> collective.allReduce("x", buffer.slice(Payload.BYTES, 0, 8)));
            assertRefused(
                "do not divide", () -> collective.allGather("x", buffer.slice(Payload.F32, 0, 1)));
            assertRefused(
                "root 9", () -> collective.broadcast("x", buffer.slice(Payload.F32, 0, 1), 9));
            assertRefused(
                "overlap",
                () ->
                    collective.allToAll(
                        "x", buffer.slice(Payload.F32, 0, 12), buffer.slice(Payload.F32, 6, 18)));
            collective.barrier("the ranks are still together");
          }
        });
  }

  private static void assertRefused(String message, Runnable call) {
    assertThatThrownBy(call::run)
        .isInstanceOf(RuntimeException.class)
        .hasMessageContaining(message);
  }
}
