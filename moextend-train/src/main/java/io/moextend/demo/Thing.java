package io.moextend.demo;

/** One coloured shape: what it is and where it stands. */
public record Thing(Size size, Colour colour, Shape shape, Position position) {
  /** How many things there are. */
  static final int KINDS = 2 * 6 * 4 * 5;

  /** Size by its height on the picture. */
  public enum Size {
    SMALL("small", 14),
    LARGE("large", 26);

    private final String word;
    private final int pixels;

    Size(String word, int pixels) {
      this.word = word;
      this.pixels = pixels;
    }

    public String word() {
      return word;
    }

    int pixels() {
      return pixels;
    }
  }

  /** Saturated colours, far apart in every channel pair. */
  public enum Colour {
    RED("red", 0xDC2828),
    GREEN("green", 0x28BE3C),
    BLUE("blue", 0x3250E6),
    YELLOW("yellow", 0xEBD732),
    WHITE("white", 0xF0F0F0),
    PURPLE("purple", 0xA03CC8);

    private final String word;
    private final int rgb;

    Colour(String word, int rgb) {
      this.word = word;
      this.rgb = rgb;
    }

    public String word() {
      return word;
    }

    int rgb() {
      return rgb;
    }
  }

  /** Filled shapes. */
  public enum Shape {
    CIRCLE("circle"),
    SQUARE("square"),
    TRIANGLE("triangle"),
    CROSS("cross");

    private final String word;

    Shape(String word) {
      this.word = word;
    }

    public String word() {
      return word;
    }

    /**
     * Whether a point belongs to the shape.
     *
     * @param x, y from its middle, in units of half its height; y grows downwards
     */
    boolean covers(double x, double y) {
      return switch (this) {
        case CIRCLE -> x * x + y * y <= 1;
        case SQUARE -> Math.max(Math.abs(x), Math.abs(y)) <= 1;
        case TRIANGLE -> y <= 1 && y >= -1 && Math.abs(x) <= (y + 1) / 2;
        case CROSS ->
            Math.max(Math.abs(x), Math.abs(y)) <= 1
                && Math.min(Math.abs(x), Math.abs(y)) <= 1.0 / 3;
      };
    }
  }

  /** Where the middle of a thing stands: a step from the middle of the picture. */
  public enum Position {
    LEFT("left", "on the left", -1, 0),
    RIGHT("right", "on the right", 1, 0),
    TOP("top", "at the top", 0, -1),
    BOTTOM("bottom", "at the bottom", 0, 1),
    CENTRE("centre", "in the centre", 0, 0);

    private final String word;
    private final String phrase;
    private final int right;
    private final int down;

    Position(String word, String phrase, int right, int down) {
      this.word = word;
      this.phrase = phrase;
      this.right = right;
      this.down = down;
    }

    public String word() {
      return word;
    }

    /** "on the left". */
    public String phrase() {
      return phrase;
    }

    int right() {
      return right;
    }

    int down() {
      return down;
    }

    /** Whether two small things fit at these two places. */
    boolean isOpposite(Position other) {
      return this != CENTRE && right == -other.right && down == -other.down;
    }
  }

  /** The thing number {@code kind}, 0 to {@link #KINDS} - 1. */
  static Thing ofKind(int kind) {
    int rest = kind;
    Size size = Size.values()[rest % 2];
    rest /= 2;
    Colour colour = Colour.values()[rest % 6];
    rest /= 6;
    Shape shape = Shape.values()[rest % 4];
    rest /= 4;
    return new Thing(size, colour, shape, Position.values()[rest]);
  }

  /** "large red circle". */
  public String name() {
    return size.word + " " + colour.word + " " + shape.word;
  }

  /** "a large red circle on the left". */
  public String description() {
    return "a " + name() + " " + position.phrase;
  }
}
