package io.moextend.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.BackendProvider.Options;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** What every backend promises of arrays as storage: bytes, views, wrapped memory, casts. */
class StorageContractTest {
  private static final long SEED = 99;
  private static final double[] SPECIAL = {
    0,
    -0.0,
    1,
    1 + 0x1p-8,
    1 + 3 * 0x1p-8,
    1 + 0x1p-8 + 0x1p-20,
    1 + 0x1p-11,
    1 + 3 * 0x1p-11,
    -2.7,
    1e-3,
    3.3895e38,
    -3.3e38,
    65504,
    65520,
    1e-7,
    6e-8,
    1e-40,
    Double.POSITIVE_INFINITY,
    Double.NEGATIVE_INFINITY,
    Double.NaN
  };

  /** Runs a claim on every backend that can run here. */
  private static Stream<DynamicTest> each(BiConsumer<Backend, Arena> claim) {
    return BackendContractTest.known().stream()
        .filter(p -> p.missing().isEmpty())
        .map(
            provider ->
                DynamicTest.dynamicTest(
                    provider.name(),
                    () -> {
                      try (Backend backend = provider.open(new Options(2, 0));
                          Arena arena = backend.arena("storage")) {
                        claim.accept(backend, arena);
                      }
                    }));
  }

  /** Every type a backend must hold; F64 only where it computes in it. */
  private static List<DType> types(Backend backend) {
    return Arrays.stream(DType.values())
        .filter(t -> t != DType.F64 || backend.computeTypes().contains(t))
        .toList();
  }

  private static byte[] random(DType dtype, long size) {
    byte[] bytes = new byte[Math.toIntExact(size * dtype.bytes())];
    new Random(SEED).nextBytes(bytes);
    return bytes;
  }

  private static byte[] read(Backend backend, Array array) {
    byte[] bytes = new byte[Math.toIntExact(array.bytes())];
    backend.copyOut(array, MemorySegment.ofArray(bytes));
    return bytes;
  }

  @TestFactory
  Stream<DynamicTest> bytesComeBackAsTheyWentInAlsoThroughViews() {
    return each(
        (backend, arena) -> {
          for (DType dtype : types(backend)) {
            byte[] bytes = random(dtype, 35);
            Array array = arena.allocate(dtype, 7, 5);
            backend.copyIn(array, MemorySegment.ofArray(bytes));
            assertThat(read(backend, array)).as("%s", dtype).isEqualTo(bytes);
            Array middle = array.slice(2, 5).reshape(5, 3);
            int row = 5 * dtype.bytes();
            assertThat(read(backend, middle))
                .as("rows 2 to 5 of %s", dtype)
                .isEqualTo(Arrays.copyOfRange(bytes, 2 * row, 5 * row));
            backend.copyIn(array.slice(6, 7), MemorySegment.ofArray(bytes).asSlice(0, row));
            assertThat(read(backend, array.slice(6, 7)))
                .as("row 6 of %s after it was written", dtype)
                .isEqualTo(Arrays.copyOf(bytes, row));
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> memoryOfAnotherSizeIsRefused() {
    return each(
        (backend, arena) -> {
          Array array = arena.allocate(DType.F32, 3);
          MemorySegment tooMuch = MemorySegment.ofArray(new byte[16]);
          assertThatThrownBy(() -> backend.copyIn(array, tooMuch))
              .isInstanceOf(ShapeException.class);
          assertThatThrownBy(() -> backend.copyOut(array, tooMuch))
              .isInstanceOf(ShapeException.class);
        });
  }

  @TestFactory
  Stream<DynamicTest> aViewDiesWithItsBaseAndEmptyArraysAreArrays() {
    return each(
        (backend, arena) -> {
          Array array = arena.allocate(DType.F32, 4, 2);
          Array view = array.slice(1, 3).reshape(4);
          assertThat(view.base()).isSameAs(array);
          assertThat(arena.owns(view)).isTrue();
          arena.free(view);
          assertThat(array.isLive()).isFalse();
          assertThat(view.isLive()).isFalse();
          Array empty = arena.allocate(DType.F32, 0, 3);
          assertThat(read(backend, empty)).isEmpty();
          assertThat(empty.slice(0, 0).reshape(3, 0).shape()).containsExactly(3, 0);
        });
  }

  @TestFactory
  Stream<DynamicTest> wrappedMemoryHasTheValuesOfItsOwner() {
    return each(
        (backend, arena) -> {
          try (var owner = java.lang.foreign.Arena.ofShared()) {
            for (DType dtype : types(backend)) {
              // at addresses a checkpoint may give: aligned, at the element's size, at one byte
              for (int offset : new int[] {0, dtype.bytes(), 1}) {
                byte[] bytes = random(dtype, 12);
                MemorySegment memory = owner.allocate(offset + bytes.length, 64).asSlice(offset);
                MemorySegment.copy(bytes, 0, memory, ValueLayout.JAVA_BYTE, 0, bytes.length);
                Array array = backend.wrap(arena, dtype, memory.asReadOnly(), 4, 3);
                assertThat(array.dtype()).isEqualTo(dtype);
                assertThat(array.shape()).containsExactly(4, 3);
                assertThat(read(backend, array)).as("%s at %d", dtype, offset).isEqualTo(bytes);
                assertThat(read(backend, array.slice(1, 2)))
                    .as("row 1 of %s at %d", dtype, offset)
                    .isEqualTo(Arrays.copyOfRange(bytes, 3 * dtype.bytes(), 6 * dtype.bytes()));
              }
            }
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> anArrayOverForeignMemoryIsWrittenInPlaceOrNotGiven() {
    return each(
        (backend, arena) -> {
          try (var owner = java.lang.foreign.Arena.ofShared()) {
            for (DType dtype : backend.computeTypes()) {
              MemorySegment memory = owner.allocate(6L * dtype.bytes(), 64);
              long before = backend.memory().liveBytes();
              Array over = backend.over(dtype, memory, 6);
              assertThat(backend.memory().liveBytes()).isEqualTo(before);
              if (over == null) {
                continue; // the device's own memory is elsewhere
              }
              backend.copyIn(over.slice(1, 3), Rounding.encode(dtype, 3, -5));
              backend.accumulateInto(over.slice(3, 5), over.slice(1, 3), 1);
              assertThat(memory.toArray(ValueLayout.JAVA_BYTE))
                  .as("%s", dtype)
                  .isEqualTo(
                      Rounding.encode(dtype, 0, 3, -5, 3, -5, 0).toArray(ValueLayout.JAVA_BYTE));
              assertThatThrownBy(() -> backend.over(dtype, memory.asReadOnly(), 6))
                  .hasMessageContaining("read-only");
            }
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> aProductReadsAWrappedMatrix() {
    return each(
        (backend, arena) -> {
          for (DType dtype : backend.computeTypes()) {
            double[] identity = {1, 0, 0, 0, 1, 0, 0, 0, 1};
            try (var owner = java.lang.foreign.Arena.ofShared()) {
              MemorySegment memory = owner.allocate(9L * dtype.bytes(), 64);
              memory.copyFrom(Rounding.encode(dtype, identity));
              Array w = backend.wrap(arena, dtype, memory.asReadOnly(), 3, 3);
              Array x = arena.allocate(dtype, 1, 3);
              backend.copyIn(x, Rounding.encode(dtype, 3, -5, 0.5));
              try (Matrix matrix = backend.matrix(List.of(w), true)) {
                Array out = backend.product(arena, x, matrix, null, dtype);
                assertThat(read(backend, out)).as("%s", dtype).isEqualTo(read(backend, x));
              }
            }
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> castsRoundToNearestEven() {
    return each(
        (backend, arena) -> {
          double[] random = new Random(SEED).doubles(200, -3, 3).toArray();
          for (DType from : types(backend)) {
            for (DType to : types(backend)) {
              if (from.isFloating() && to.isFloating()) {
                castAgrees(backend, arena, from, to, SPECIAL);
                castAgrees(backend, arena, from, to, random);
              }
            }
          }
        });
  }

  /** Rounding by adding to the bits turns some NaNs into infinity, or over the top into zero. */
  @TestFactory
  Stream<DynamicTest> everyNanStaysNan() {
    return each(
        (backend, arena) -> {
          int[] bits = {0x7f800001, 0x7fffffff, 0xff800001, 0xffffffff, 0x7fc00000};
          Array floats = arena.allocate(DType.F32, bits.length);
          backend.copyIn(floats, MemorySegment.ofArray(bits));
          for (DType to : List.of(DType.BF16, DType.F16)) {
            Array cast = backend.cast(arena, floats, to);
            Array copy = arena.allocate(to, bits.length);
            backend.copyInto(copy, floats);
            for (Array narrow : List.of(cast, copy)) {
              double[] got = Rounding.decode(to, MemorySegment.ofArray(read(backend, narrow)));
              assertThat(got).as("%s", to).containsOnly(Double.NaN);
            }
          }
        });
  }

  private static void castAgrees(
      Backend backend, Arena arena, DType from, DType to, double[] values) {
    Array array = arena.allocate(from, values.length);
    backend.copyIn(array, Rounding.encode(from, values));
    double[] exact = Rounding.decode(from, Rounding.encode(from, values));
    Array cast = backend.cast(arena, array, to);
    assertThat(cast.dtype()).isEqualTo(to);
    double[] got = Rounding.decode(to, MemorySegment.ofArray(read(backend, cast)));
    for (int i = 0; i < got.length; i++) {
      assertThat(got[i])
          .as("%s of %s %s, seed %d", to, from, exact[i], SEED)
          .isEqualTo(Double.valueOf(Rounding.to(to, exact[i])));
    }
  }
}
