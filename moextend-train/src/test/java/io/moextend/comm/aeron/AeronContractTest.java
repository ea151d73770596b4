package io.moextend.comm.aeron;

import io.moextend.comm.CollectiveContract;
import io.moextend.comm.DirectCollective;
import io.moextend.comm.Wiring;
import java.nio.file.Path;
import java.util.stream.Stream;

/** The contract of collectives over Aeron, through shared memory and through loopback. */
class AeronContractTest extends CollectiveContract {
  @Override
  protected Stream<Wiring> wirings() {
    return Stream.of(2, 3, 4)
        .flatMap(
            world ->
                Stream.of(
                    new Wiring("aeron-ipc", 1, world, AeronContractTest::ipc),
                    new Wiring("aeron-udp", 1, world, AeronContractTest::udp)));
  }

  private static Wiring.World ipc(Path folder, Wiring wiring) {
    return over(Wires.ipc(folder, wiring.world()));
  }

  private static Wiring.World udp(Path folder, Wiring wiring) {
    return over(Wires.udp(folder, wiring.world()));
  }

  private static Wiring.World over(Wires wires) {
    return (rank, vigil) -> new DirectCollective(wires.open(rank, vigil), vigil);
  }
}
