package io.moextend.comm;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.junit.jupiter.api.Test;

/** What the contract of all collectives does not say. */
class HierarchicalCollectiveTest {
  private final Vigil vigil = new Patience(0, Duration.ofSeconds(5));

  @Test
  void partsThatDoNotFitTheirPlaceAreRefused() {
    InProcessTransport two = InProcessTransport.group(2, rank -> vigil).getFirst();
    InProcessTransport one = InProcessTransport.group(1, rank -> vigil).getFirst();
    try (var host = new DirectCollective(one, vigil)) {
      var ofThree = new Place(0, 3, 0, 1);
      assertThatThrownBy(() -> new HierarchicalCollective(ofThree, host, two, vigil).close())
          .hasMessageContaining("host 0 of 2 on the wire")
          .hasMessageContaining("does every host have 1 ranks?");
      var pair = new Place(0, 2, 0, 2);
      assertThatThrownBy(() -> new HierarchicalCollective(pair, host, two, vigil).close())
          .hasMessageContaining("rank 0 of 1 on this host");
    }
  }
}
