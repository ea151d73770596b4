package io.moextend.cli;

import io.moextend.array.ShapeException;
import io.moextend.backend.BackendException;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.comm.PeerLostException;
import io.moextend.config.ConfigException;
import io.moextend.data.DataException;
import io.moextend.data.image.ImageException;
import io.moextend.launch.ExitCodes;
import io.moextend.stage.convert.DifferentAnswersException;
import io.moextend.text.TextException;
import io.moextend.train.DivergedException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;

/** One line for the user, and whose fault it was as an exit code. */
final class Faults {
  private Faults() {}

  static int report(Exception e, PrintWriter err, boolean debug) {
    if (e instanceof StageFailedException failed) {
      err.println("moextend: " + failed.getMessage()); // its ranks have said why
      return failed.code();
    }
    boolean lost = e instanceof PeerLostException;
    boolean found = e instanceof DifferentAnswersException;
    boolean users = isUsers(e);
    String message = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    err.println("moextend: " + message.replace('\n', ' '));
    if (debug) {
      e.printStackTrace(err);
    } else if (!users && !lost && !found) {
      err.println(
          "moextend: this is a fault of ours ("
              + e.getClass().getName()
              + "); --debug shows where");
    }
    return lost
        ? ExitCodes.PEER_LOST
        : found ? ExitCodes.FOUND : users ? ExitCodes.USERS : ExitCodes.OURS;
  }

  private static boolean isUsers(Exception e) {
    return switch (e) {
      case ConfigException c -> true;
      case CheckpointException c -> true;
      case DataException d -> true;
      case ImageException i -> true;
      case TextException t -> true;
      case BackendException b -> true;
      case DivergedException v -> true;
      case UncheckedIOException u -> true;
      case ShapeException s -> false;
      default -> false;
    };
  }
}
