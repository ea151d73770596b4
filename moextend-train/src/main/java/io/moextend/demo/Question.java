package io.moextend.demo;

/** What can be asked about a thing; every answer is one word. */
public enum Question {
  COLOUR("colour", "what colour is "),
  SHAPE("shape", "what shape is "),
  SIZE("size", "what size is "),
  POSITION("position", "where is ");

  private final String word;
  private final String start;

  Question(String word, String start) {
    this.word = word;
    this.start = start;
  }

  public String word() {
    return word;
  }

  /** "what colour is it ?", about the only thing there is. */
  public String text() {
    return start + "it ?";
  }

  /** "what colour is the circle ?", about one of two things of different shape. */
  public String textAbout(Thing thing) {
    return start + "the " + thing.shape().word() + " ?";
  }

  public String answer(Thing thing) {
    return switch (this) {
      case COLOUR -> thing.colour().word();
      case SHAPE -> thing.shape().word();
      case SIZE -> thing.size().word();
      case POSITION -> thing.position().word();
    };
  }
}
