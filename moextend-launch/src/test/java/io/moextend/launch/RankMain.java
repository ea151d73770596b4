package io.moextend.launch;

import io.moextend.comm.PeerLostException;
import io.moextend.comm.group.Group;
import io.moextend.comm.group.GroupLimits;
import io.moextend.comm.group.Membership;
import io.moextend.comm.group.RankEnvironment;
import java.util.Objects;

/**
 * A rank for tests, as a process: joins its group, then waits in a call for the next rank, or, as
 * rank 1, computes for ever. Leaves with 4 when asked to, with 5 when another rank is lost.
 */
public final class RankMain {
  private RankMain() {}

  public static void main(String[] args) throws Exception {
    System.exit(run(args.length > 0 && args[0].equals("once")));
  }

  private static int run(boolean once) throws InterruptedException {
    RankEnvironment environment = RankEnvironment.of(System.getenv()).orElseThrow();
    try (Group group =
        Membership.join(
            environment,
            new byte[] {(byte) environment.rank()},
            GroupLimits.of(System.getenv()),
            System.err::println)) {
      // to the end of the process: a signal that comes late must not change its code
      Signals signals = Signals.heardBy(name -> group.requestStop());
      Objects.requireNonNull(signals);
      String joined =
          "joined as %d of %d, generation %d, pid %d, cards %d"
              .formatted(
                  group.rank(),
                  group.world(),
                  environment.generation(),
                  ProcessHandle.current().pid(),
                  group.cards().size());
      System.out.println(joined);
      int code = once ? 0 : work(group);
      group.finished();
      return code;
    } catch (PeerLostException e) {
      System.out.println("lost: " + e.getMessage());
      return 5;
    }
  }

  private static int work(Group group) throws InterruptedException {
    boolean computes = group.rank() == 1;
    if (!computes) {
      group.vigil().entered(1, "barrier (test)");
    }
    while (!group.stopRequested()) {
      if (computes) {
        group.requireWhole();
      } else {
        group.vigil().waiting((group.rank() + 1) % group.world());
      }
      Thread.sleep(5);
    }
    System.out.println("told to leave");
    return 4;
  }
}
