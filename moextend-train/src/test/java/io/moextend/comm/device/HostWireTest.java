package io.moextend.comm.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.backend.Rounding;
import io.moextend.comm.Collective;
import io.moextend.comm.DirectCollective;
import io.moextend.comm.InProcessTransport;
import io.moextend.comm.Patience;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** On a backend that works on the host's memory in place, and on one that copies. */
@Timeout(60)
class HostWireTest {
  private static final int WORLD = 3;

  @FunctionalInterface
  private interface Body {
    void run(Backend backend, DeviceWire wire) throws Exception;
  }

  private static void ranks(String name, Body body) throws Exception {
    var vigils = List.of(patience(0), patience(1), patience(2));
    try (var threads = Executors.newFixedThreadPool(WORLD)) {
      var done = new ArrayList<Future<Integer>>();
      for (InProcessTransport end : InProcessTransport.group(WORLD, vigils::get)) {
        Callable<Integer> rank =
            () -> {
              try (Backend backend = Backends.open(name, new BackendProvider.Options(1, 0));
                  Collective collective = new DirectCollective(end, vigils.get(end.rank()));
                  DeviceWire wire = new HostWire(backend, collective)) {
                body.run(backend, wire);
                return 0;
              }
            };
        done.add(threads.submit(rank));
      }
      for (Future<Integer> one : done) {
        assertThat(one.get(60, TimeUnit.SECONDS)).isZero();
      }
    }
  }

  private static Patience patience(int rank) {
    return new Patience(rank, Duration.ofSeconds(20));
  }

  private static void fill(Backend backend, Array array, int rank) {
    double[] values = new double[(int) array.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (rank + 1) * (i + 1);
    }
    backend.copyIn(array, Rounding.encode(array.dtype(), values));
  }

  private static double[] read(Backend backend, Array array) {
    byte[] bytes = new byte[(int) array.bytes()];
    backend.copyOut(array, MemorySegment.ofArray(bytes));
    return Rounding.decode(array.dtype(), MemorySegment.ofArray(bytes));
  }

  @ParameterizedTest
  @CsvSource({"cpu, F32", "cpu, BF16", "nd4j, F32", "nd4j, F64"})
  void rangesAreSummedScatteredAndGathered(String name, DType dtype) throws Exception {
    ranks(
        name,
        (backend, wire) -> {
          int rank = wire.rank();
          try (DeviceWire.Flat flat = wire.flat("some", dtype, 8)) {
            Array array = flat.array();
            assertThat(read(backend, array)).containsOnly(0);
            fill(backend, array, rank);
            wire.allReduce("sum", flat, 1, 4);
            assertThat(read(backend, array.slice(1, 4))).containsExactly(12, 18, 24);
            assertThat(read(backend, array.slice(4, 5))).containsExactly(5 * (rank + 1));
            fill(backend, array, rank);
            wire.reduceScatter("own sums", flat, 2, 8);
            assertThat(read(backend, array.slice(2 + 2 * rank, 4 + 2 * rank)))
                .containsExactly(6 * (3 + 2 * rank), 6 * (4 + 2 * rank));
            assertThat(read(backend, array.slice(0, 2))).containsExactly(rank + 1, 2 * (rank + 1));
            fill(backend, array, rank);
            wire.allGather("parts", flat, 2, 8);
            assertThat(read(backend, array))
                .containsExactly(rank + 1, 2 * (rank + 1), 3, 4, 10, 12, 21, 24);
          }
          wire.barrier("end");
        });
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 255, 256, 257, 1000})
  void anyCountOfNumbersIsGathered(int count) throws Exception {
    ranks(
        "cpu",
        (backend, wire) -> {
          double[] values = new double[count];
          for (int i = 0; i < count; i++) {
            values[i] = wire.rank() * 1e4 + i + 0.1;
          }
          double[][] all = wire.gather("numbers", values);
          assertThat(all).hasDimensions(WORLD, count);
          for (int r = 0; r < WORLD; r++) {
            assertThat(all[r][0]).isEqualTo(r * 1e4 + 0.1);
            assertThat(all[r][count - 1]).isEqualTo(r * 1e4 + count - 1 + 0.1);
          }
        });
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "nd4j"})
  void onlyADeviceThatCannotWorkInPlaceHasACopy(String name) throws Exception {
    ranks(
        name,
        (backend, wire) -> {
          long before = backend.memory().liveBytes();
          try (DeviceWire.Flat flat = wire.flat("some", DType.F32, 1000)) {
            assertThat(flat.array().isLive()).isTrue();
            assertThat(backend.memory().liveBytes() - before)
                .isEqualTo(name.equals("cpu") ? 0 : 4000);
          }
          assertThat(backend.memory().liveBytes()).isEqualTo(before);
          assertThatThrownBy(() -> wire.flat("numbers of another kind", DType.I32, 3))
              .hasMessageContaining("I32 is not moved between ranks");
        });
  }
}
