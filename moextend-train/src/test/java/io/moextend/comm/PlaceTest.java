package io.moextend.comm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

class PlaceTest {
  @Test
  void ranksAreNumberedHostByHost() {
    assertThat(Place.of(4, List.of(3, 3, 3))).isEqualTo(new Place(1, 3, 1, 3));
    for (int rank = 0; rank < 9; rank++) {
      assertThat(Place.of(rank, List.of(3, 3, 3)).rank()).isEqualTo(rank);
    }
    assertThat(Place.onOneHost(2, 4).world()).isEqualTo(4);
  }

  @Test
  void hostsWithDifferentNumbersOfRanksAreRefused() {
    assertThatThrownBy(() -> Place.of(0, List.of(2, 3)))
        .hasMessage("hosts have [2, 3] ranks; give each host the same --nproc-per-node");
    assertThatThrownBy(() -> Place.of(6, List.of(2, 2, 2)))
        .hasMessage("host 3 of 3, local rank 0 of 2: no such place");
  }
}
