package io.moextend.comm;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** The contract over every implementation of this package. */
class CollectiveContractTest extends CollectiveContract {
  @Override
  protected Stream<Wiring> wirings() {
    return Stream.of(
            IntStream.rangeClosed(1, 4)
                .mapToObj(n -> new Wiring("in-process", 1, n, CollectiveContractTest::inProcess)),
            IntStream.rangeClosed(1, 4)
                .mapToObj(n -> new Wiring("shared memory", 1, n, this::sharedMemory)),
            Stream.of(new int[] {2, 1}, new int[] {2, 2}, new int[] {3, 2})
                .map(n -> new Wiring("hierarchical", n[0], n[1], this::hierarchical)))
        .flatMap(s -> s);
  }

  private Wiring.World sharedMemory(Path folder, Wiring wiring) {
    Path fresh = fresh(folder);
    return new Wiring.World() {
      @Override
      public Collective join(int rank, Vigil vigil) {
        return new SharedMemoryCollective(fresh, rank, wiring.world(), vigil);
      }

      @Override
      public void close() {
        remove(fresh);
      }
    };
  }

  private Wiring.World hierarchical(Path folder, Wiring wiring) {
    int locals = wiring.locals();
    var vigils = new Vigils(wiring.world());
    List<Path> memories = IntStream.range(0, wiring.hosts()).mapToObj(h -> fresh(folder)).toList();
    List<List<InProcessTransport>> wires =
        IntStream.range(0, locals)
            .mapToObj(l -> InProcessTransport.group(wiring.hosts(), h -> vigils.of(h * locals + l)))
            .toList();
    return new Wiring.World() {
      @Override
      public Collective join(int rank, Vigil vigil) {
        var place = new Place(rank / locals, wiring.hosts(), rank % locals, locals);
        var host = SharedMemoryCollective.ofHost(memories.get(place.host()), place, vigil);
        vigils.set(rank, host.outward());
        InProcessTransport wire = wires.get(place.local()).get(place.host());
        return new HierarchicalCollective(place, host, wire, vigil);
      }

      @Override
      public void close() {
        memories.forEach(CollectiveContractTest::remove);
      }
    };
  }

  private static Path fresh(Path folder) {
    try {
      return Files.createTempDirectory(folder, "generation");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Fails where something is left in it. */
  private static void remove(Path folder) {
    try {
      Files.delete(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
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
