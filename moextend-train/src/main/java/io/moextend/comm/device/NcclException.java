package io.moextend.comm.device;

/** NCCL cannot be used as asked, or said that something failed; the message has its words. */
public final class NcclException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  NcclException(String message) {
    super(message);
  }

  NcclException(String message, Throwable cause) {
    super(message, cause);
  }
}
