package io.moextend.moe;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ModalitiesTest {
  @Test
  void theLastPatchOfARunIsNoVisionTokenAndNeitherIsTheLastOfARow() {
    byte[] types = {
      0, 1, 1, 1, 0, 1,
      1, 1, 0, 0, 1, 1,
    };
    assertThat(Modalities.kinds(types, 6)).containsExactly(0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0);
  }

  @Test
  void whateverIsNoPatchIsText() {
    assertThat(Modalities.kinds(new byte[] {1, 1, 2, 2, 1, 1, 95}, 7))
        .containsExactly(1, 0, 0, 0, 1, 0, 0);
  }
}
