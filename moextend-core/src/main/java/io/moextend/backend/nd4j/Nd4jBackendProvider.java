package io.moextend.backend.nd4j;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendException;
import io.moextend.backend.BackendProvider;

/** Offers ND4J wherever its jars are; the last choice, as the slowest. */
public final class Nd4jBackendProvider implements BackendProvider {
  static final String NAME = "nd4j";
  private static final String ENTRY = "org.nd4j.linalg.factory.Nd4j";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public int priority() {
    return 10;
  }

  @Override
  public String missing() {
    ClassLoader loader = Nd4jBackendProvider.class.getClassLoader();
    try {
      Class.forName(ENTRY, false, loader);
      return "";
    } catch (ClassNotFoundException e) {
      return "ND4J is not on the class path; add org.nd4j:nd4j-native with its classifier for this"
          + " platform";
    }
  }

  @Override
  @MustBeClosed
  public Backend open(Options options) {
    try {
      return new Nd4jBackend(options);
    } catch (LinkageError e) {
      throw new BackendException(
          "ND4J's native library does not load here (%s); is the jar for this platform on the class path?"
              .formatted(reason(e)),
          e);
    }
  }

  /** Of an initialiser that failed, what failed in it. */
  private static String reason(Throwable e) {
    Throwable deepest = e;
    while (deepest.getCause() != null) {
      deepest = deepest.getCause();
    }
    return String.valueOf(deepest.getMessage());
  }
}
