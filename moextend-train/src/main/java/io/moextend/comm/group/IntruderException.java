package io.moextend.comm.group;

import java.io.IOException;

/** Bytes that no member of this run would send. The connection they came on is dropped. */
final class IntruderException extends IOException {
  private static final long serialVersionUID = 1L;

  private final String kind;

  /**
   * @param kind one word or two, the same for all cases of a sort: each is logged once an address
   */
  IntruderException(String kind, String message) {
    super(message);
    this.kind = kind;
  }

  String kind() {
    return kind;
  }
}
