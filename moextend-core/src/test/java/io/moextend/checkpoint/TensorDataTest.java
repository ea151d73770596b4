package io.moextend.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TensorDataTest {
  @ParameterizedTest
  @CsvSource({"F32, 0", "BF16, 0.00390625", "F16, 0.00048828125"})
  void floatsComeBackWithinHalfAStep(DType dtype, float relative) {
    long seed = 3;
    var random = new Random(seed);
    float[] values = new float[20_001];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat(1, 2);
    }
    TensorData tensor = TensorData.of("w", dtype, new long[] {3, 6667}, values);
    assertThat(tensor.dtype()).isEqualTo(dtype);
    float[] back = tensor.floats();
    for (int i = 0; i < values.length; i++) {
      assertThat(Math.abs(back[i] - values[i]) <= relative * values[i]).as("value %d", i).isTrue();
    }
  }

  @Test
  void aShapeThatDoesNotHoldTheValuesIsRefused() {
    assertThatThrownBy(() -> TensorData.of("w", new long[] {2, 3}, new float[5]))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("tensor w: F32 [2, 3] takes 24 bytes, but 20 are given");
    assertThatThrownBy(() -> TensorData.of("w", new long[] {-1}, new float[0]))
        .hasMessageContaining("negative");
  }

  @Test
  void wholeNumbersAndFloatingNumbersAreNotMixedUp() {
    var ids = TensorData.of("ids", new long[] {2}, new long[] {5, 6});
    assertThat(ids.longs()).containsExactly(5, 6);
    assertThatThrownBy(ids::floats)
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("ids: holds I64 where floating numbers are wanted");
    assertThatThrownBy(TensorData.of("w", new long[] {1}, new float[1])::longs)
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("whole numbers");
  }

  @Test
  void anEmptyTensorHoldsNothing() {
    var empty =
        new TensorData("e", DType.BF16, new long[] {0, 3}, MemorySegment.ofArray(new byte[0]));
    assertThat(empty.floats()).isEmpty();
    assertThat(empty.length()).isZero();
  }
}
