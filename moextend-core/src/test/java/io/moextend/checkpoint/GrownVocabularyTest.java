package io.moextend.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** A plain Mixtral that gets rows for image tokens. */
class GrownVocabularyTest {
  private static final String EMBEDDING = "model.embed_tokens.weight";
  private static final String HEAD = "lm_head.weight";

  @Test
  void oldRowsStayByteForByteAndNewOnesAreNormalAndTheSameForTheSameSeed() {
    try (WeightSource plain = CheckpointFolder.open(Golden.path("hf/hf_mixtral"));
        WeightSource grown = grown(7);
        WeightSource again = grown(7);
        WeightSource other = grown(8)) {
      for (String table : new String[] {EMBEDDING, HEAD}) {
        float[] before = plain.tensor(table).floats();
        TensorData wider = grown.tensor(table);
        float[] after = wider.floats();
        assertThat(wider.shape()).containsExactly(1128, 32);
        assertThat(Arrays.copyOf(after, before.length)).isEqualTo(before);
        float[] added = Arrays.copyOfRange(after, before.length, after.length);
        double squares = 0;
        for (float value : added) {
          squares += (double) value * value;
        }
        assertThat(Math.sqrt(squares / added.length)).isBetween(0.0195, 0.0205);
        assertThat(again.tensor(table).floats()).isEqualTo(after);
        assertThat(other.tensor(table).floats()).isNotEqualTo(after);
      }
      assertThat(grown.names()).isEqualTo(plain.names());
      assertThat(grown.tensor("model.norm.weight").floats())
          .isEqualTo(plain.tensor("model.norm.weight").floats());
    }
  }

  private static WeightSource grown(long seed) {
    return new GrownVocabulary(
        CheckpointFolder.open(Golden.path("hf/hf_mixtral")), 1128, 0.02, seed);
  }
}
