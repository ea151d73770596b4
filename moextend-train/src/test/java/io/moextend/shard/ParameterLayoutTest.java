package io.moextend.shard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.config.ConfigException;
import io.moextend.shard.ParameterLayout.Bucket;
import io.moextend.shard.ParameterLayout.Range;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@SuppressWarnings("MustBeClosedChecker") // closed after each test
class ParameterLayoutTest {
  private final Backend backend = Setup.of("cpu", DType.F32, 1, ZeroStage.NONE).open();
  private final UnitTask task = new UnitTask(backend, DType.F32);

  @AfterEach
  void close() {
    task.close();
    backend.close();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 7})
  void piecesCoverEveryBucketOnceInEqualParts(int world) {
    ParameterLayout layout = ParameterLayout.of(task.units, world, 1024);
    long next = 0;
    for (Bucket bucket : layout.buckets()) {
      for (int rank = 0; rank < world; rank++) {
        Range piece = layout.piece(bucket, rank);
        assertThat(piece.from()).isEqualTo(next);
        assertThat(piece.length() % 16).isZero();
        assertThat(piece.length()).isEqualTo(bucket.length() / world);
        next = piece.to();
      }
    }
    assertThat(next).isEqualTo(layout.length());
    long held = 0;
    for (int rank = 0; rank < world; rank++) {
      Holding holding = Holding.piece(layout, rank);
      assertThat(holding.length()).isEqualTo(layout.length() / world);
      for (Bucket bucket : layout.buckets()) {
        held += holding.parts(bucket).stream().mapToLong(p -> p.to() - p.from()).sum();
      }
    }
    assertThat(held).as("elements of parameters").isEqualTo(layout.trained());
  }

  @Test
  void unitsArePutTogetherUpToTheBucketsSizeAndNeverCut() {
    assertThat(ParameterLayout.of(task.units, 2, Long.MAX_VALUE).buckets()).hasSize(1);
    List<Bucket> each = ParameterLayout.of(task.units, 2, 1).buckets();
    assertThat(each).extracting(Bucket::firstUnit).containsExactly(0, 1, 2, 4);
    List<Bucket> some = ParameterLayout.of(task.units, 2, 1024).buckets();
    assertThat(some).extracting(Bucket::firstUnit).containsExactly(0, 1, 2);
    assertThat(some.getLast().slices())
        .extracting(s -> s.parameter().name())
        .containsExactly("unit2.p0.weight", "unit2.p1.weight", "unit4.p0.weight", "unit4.p1.bias");
  }

  @Test
  void frozenParametersHaveNoPlace() {
    task.units.get(1).forEach(p -> p.trainable(false));
    List<Bucket> buckets = ParameterLayout.of(ParameterLayout.trained(task.units), 2, 1).buckets();
    assertThat(buckets).extracting(Bucket::firstUnit).containsExactly(0, 2, 4);
    task.parameters().forEach(p -> p.trainable(false));
    assertThatThrownBy(() -> ParameterLayout.of(ParameterLayout.trained(task.units), 2, 1))
        .isInstanceOf(ConfigException.class)
        .hasMessageStartingWith("nothing trains");
  }
}
