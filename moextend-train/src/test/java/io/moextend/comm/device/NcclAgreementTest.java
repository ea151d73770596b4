package io.moextend.comm.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.backend.Rounding;
import io.moextend.comm.Patience;
import io.moextend.comm.SharedMemoryCollective;
import java.io.BufferedReader;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What comes before NCCL's first call, which needs no card. */
@Timeout(60)
class NcclAgreementTest {
  private static final int WORLD = 2;

  @TempDir Path folder;

  /** A rank in a process of its own: FOLDER RANK; says the id it got, and what wire. */
  public static void main(String[] args) {
    int rank = Integer.parseInt(args[1]);
    var vigil = new Patience(rank, Duration.ofSeconds(20));
    try (Backend backend = Backends.open("cpu", new BackendProvider.Options(1, 0));
        var ranks = new SharedMemoryCollective(Path.of(args[0]), rank, WORLD, vigil)) {
      byte[] id = new byte[NcclLibrary.ID_BYTES];
      new Random(rank).nextBytes(id);
      System.out.println(HexFormat.of().formatHex(NcclAgreement.shareId(ranks, id)));
      NcclWire.Opened opened =
          NcclWire.open(backend, ranks, false, vigil, NcclWire.Wanted.IF_POSSIBLE);
      try (DeviceWire wire = opened.wire();
          DeviceWire.Flat flat = wire.flat("flat", DType.F32, 4)) {
        Array array = flat.array();
        backend.copyIn(array, Rounding.encode(DType.F32, rank + 1, 2, 3, 4));
        wire.allReduce("sum", flat, 0, 4);
        byte[] sum = new byte[16];
        backend.copyOut(array, MemorySegment.ofArray(sum));
        System.out.println(
            Rounding.decode(DType.F32, MemorySegment.ofArray(sum))[0] + " " + opened.refusal());
      }
    }
  }

  private List<BufferedReader> start() throws IOException {
    var lines = new ArrayList<BufferedReader>();
    for (int rank = 0; rank < WORLD; rank++) {
      var command = new ArrayList<String>();
      command.add(ProcessHandle.current().info().command().orElseThrow());
      command.addAll(List.of("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
      command.addAll(List.of("--add-modules=jdk.incubator.vector"));
      command.addAll(List.of("--enable-native-access=ALL-UNNAMED"));
      command.addAll(List.of("-cp", System.getProperty("java.class.path")));
      command.addAll(List.of(NcclAgreementTest.class.getName(), folder.toString(), "" + rank));
      Process process =
          new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
      lines.add(process.inputReader(StandardCharsets.UTF_8));
    }
    return lines;
  }

  @Test
  void twoProcessesGetTheFirstOnesIdAndTalkOverTheHostWhereThereIsNoCard() throws IOException {
    byte[] id = new byte[NcclLibrary.ID_BYTES];
    new Random(0).nextBytes(id);
    for (BufferedReader rank : start()) {
      assertThat(rank.readLine()).isEqualTo(HexFormat.of().formatHex(id));
      assertThat(rank.readLine()).isEqualTo("3.0 backend cpu is not on a card of NVIDIA's");
    }
  }

  @Test
  void whatIsNoNcclIsRefusedInOneLineThatNamesIt() {
    Path gone = folder.resolve("libnccl.so.2");
    assertThat(NcclAgreement.Offer.opened(gone.toString()).refusal())
        .contains(gone.toString(), "could not be loaded")
        .doesNotContain("\n");
    assertThat(NcclAgreement.Offer.opened("libm.so.6").refusal())
        .contains("libm.so.6 has no function ncclGetVersion", "2.13 or later");
  }

  @Test
  void whoInsistsOnNcclIsToldWhyNot() {
    var vigil = new Patience(0, Duration.ofSeconds(20));
    try (Backend backend = Backends.open("cpu", new BackendProvider.Options(1, 0));
        var alone = new SharedMemoryCollective(folder, 0, 1, vigil)) {
      assertThatThrownBy(
              () ->
                  NcclWire.open(backend, alone, false, vigil, NcclWire.Wanted.REQUIRED)
                      .wire()
                      .close())
          .isInstanceOf(NcclException.class)
          .hasMessageContaining("backend cpu is not on a card");
    }
  }
}
