package io.moextend.comm;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** The contract over every implementation of this package. */
class CollectiveContractTest extends CollectiveContract {
  @Override
  protected Stream<Wiring> wirings() {
    return IntStream.rangeClosed(1, 4)
        .mapToObj(n -> new Wiring("in-process", 1, n, CollectiveContractTest::inProcess));
  }

  private static Wiring.World inProcess(Path folder, Wiring wiring) {
    var vigils = new Vigils(wiring.world());
    List<InProcessTransport> wires = InProcessTransport.group(wiring.world(), vigils::of);
    return (rank, vigil) -> {
      vigils.set(rank, vigil);
      return new DirectCollective(wires.get(rank), vigil);
    };
  }

  /** Wires are made before the vigils of their ranks. */
  private static final class Vigils {
    private final List<Vigil> given = new ArrayList<>();

    Vigils(int world) {
      for (int r = 0; r < world; r++) {
        given.add(null);
      }
    }

    void set(int rank, Vigil vigil) {
      given.set(rank, vigil);
    }

    Vigil of(int rank) {
      return new Vigil() {
        @Override
        public void entered(long sequence, String operation) {}

        @Override
        public void waiting(int peer) {
          given.get(rank).waiting(peer);
        }

        @Override
        public void left(long sequence) {}
      };
    }
  }
}
