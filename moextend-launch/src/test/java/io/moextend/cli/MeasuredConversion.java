package io.moextend.cli;

/** Runs a command line in a process of its own and says what memory that took. */
final class MeasuredConversion {
  private MeasuredConversion() {}

  public static void main(String[] args) {
    int code = MoExtend.run(args);
    System.out.println("peak " + ProcessMemory.peakBytes());
    System.exit(code);
  }
}
