package io.moextend.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class TensorDataTest {
  private final TensorData gate =
      TensorData.of("gate.weight", new long[] {3, 2}, new float[] {0, 1, 10, 11, 20, 21});

  @Test
  void someRowsAreATensorOfTheirOwnOverTheSameBytes() {
    TensorData rows = gate.rows(1, 3);
    assertThat(rows.name()).isEqualTo("gate.weight");
    assertThat(rows.shape()).containsExactly(2, 2);
    assertThat(rows.floats()).containsExactly(10, 11, 20, 21);
    assertThat(rows.bytes().heapBase()).isEqualTo(gate.bytes().heapBase());
  }

  @Test
  void noRowsAreAnEmptyTensor() {
    assertThat(gate.rows(2, 2).shape()).containsExactly(0, 2);
  }

  @Test
  void rowsBeyondTheLastAreRefused() {
    assertThatThrownBy(() -> gate.rows(2, 4)).isInstanceOf(IndexOutOfBoundsException.class);
  }
}
