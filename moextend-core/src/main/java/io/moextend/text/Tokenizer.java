package io.moextend.text;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import com.google.errorprone.annotations.MustBeClosed;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Text to ids and back, by the tokenizer.json of a Hugging Face model. Nothing is added, padded or
 * cut. Added tokens in a text ({@code </s>}) become their ids, as in the original.
 *
 * <p>Any number of threads may encode and decode; native memory is held until {@link #close}.
 */
public final class Tokenizer implements AutoCloseable {
  /** Longer texts are refused; the library would count in 32 bits. */
  private static final int LONGEST_CHARACTERS = 64 << 20;

  private final Path file;
  private final SegmentPrefix prefix;
  private final HuggingFaceTokenizer pieces;
  private final Map<String, Integer> added;
  private final @Nullable Pattern addedPattern;
  private final int vocabularySize;
  private final int bos;
  private final int eos;
  private final int pad;
  private final boolean namesPad;
  private final int unk;
  private final TokenFrame frame;

  private Tokenizer(TokenizerFile source, SegmentPrefix prefix, HuggingFaceTokenizer pieces) {
    this.file = source.file();
    this.prefix = prefix;
    this.pieces = pieces;
    this.added = source.addedTokens();
    this.addedPattern = anyOf(added);
    this.vocabularySize = source.vocabularySize();
    this.eos = required(source, "eos_token", "</s>");
    this.bos = orElse(source.special("bos_token", "<s>"), -1);
    // who has no padding token pads with the end, as the original does
    Integer filler = source.special("pad_token", "</s>");
    this.pad = orElse(filler, eos);
    this.namesPad = filler != null;
    this.unk = orElse(source.special("unk_token", "<unk>"), -1);
    this.frame = source.frame();
  }

  /**
   * Opens a tokenizer with the prefix rule of the tokenizer_config.json beside it.
   *
   * @param path tokenizer.json, or the folder that holds it
   * @throws TextException if a file is missing or broken
   */
  @MustBeClosed
  public static Tokenizer open(Path path) {
    TokenizerFile source = TokenizerFile.read(path);
    return open(source, source.prefix());
  }

  /** Opens a tokenizer with a prefix rule of the caller's choice. */
  @MustBeClosed
  public static Tokenizer open(Path path, SegmentPrefix prefix) {
    return open(TokenizerFile.read(path), prefix);
  }

  @MustBeClosed
  private static Tokenizer open(TokenizerFile source, SegmentPrefix prefix) {
    stayOffline();
    byte[] json = source.pipeline(prefix).getBytes(StandardCharsets.UTF_8);
    // Said in full: left out, the library cuts at 512 ids, or at what it finds in the file.
    Map<String, String> nothingHidden =
        Map.of(
            "addSpecialTokens", "false",
            "truncation", "DO_NOT_TRUNCATE",
            "padding", "DO_NOT_PAD",
            "maxLength", Integer.toString(Integer.MAX_VALUE),
            "modelMaxLength", Integer.toString(Integer.MAX_VALUE));
    HuggingFaceTokenizer pieces;
    try {
      pieces = HuggingFaceTokenizer.newInstance(new ByteArrayInputStream(json), nothingHidden);
    } catch (IOException | RuntimeException e) {
      throw new TextException(
          "%s is no tokenizer that can be read: %s".formatted(source.file(), e.getMessage()), e);
    }
    try {
      return new Tokenizer(source, prefix, pieces);
    } catch (RuntimeException e) {
      pieces.close();
      throw e;
    }
  }

  /**
   * The library reads these three, and without them may report its use to its makers, or fetch a
   * build of itself for a GPU.
   */
  private static void stayOffline() {
    System.setProperty("ai.djl.offline", "true");
    System.setProperty("OPT_OUT_TRACKING", "true");
    System.setProperty("RUST_FLAVOR", "cpu");
  }

  private static int required(TokenizerFile source, String role, String usual) {
    Integer id = source.special(role, usual);
    if (id == null) {
      throw new TextException(
          source.file() + " has no " + role + "; add it to tokenizer_config.json");
    }
    return id;
  }

  private static int orElse(@Nullable Integer id, int other) {
    return id == null ? other : id;
  }

  private static @Nullable Pattern anyOf(Map<String, Integer> added) {
    if (added.isEmpty()) {
      return null;
    }
    // the longest first: "<a>b" wins over "<a>"
    List<String> quoted =
        added.keySet().stream()
            .sorted(Comparator.comparingInt(String::length).reversed())
            .map(Pattern::quote)
            .toList();
    return Pattern.compile(String.join("|", quoted));
  }

  /** Ids of one text on its own, without start and end tokens. */
  public int[] encode(String text) {
    return encode(List.of(new Segment.Words(text)));
  }

  /** Ids of one text made of words and of runs that stand as they are. */
  int[] encode(List<Segment> text) {
    List<Segment> segments = split(text);
    TokenBuffer out = new TokenBuffer();
    switch (prefix) {
      case AS_FILE -> segments.forEach(segment -> append(segment, "", out));
      case LEGACY -> withLeadingSpace(segments).forEach(segment -> append(segment, " ", out));
      case FIRST_ONLY -> {
        List<Segment> spaced = withLeadingSpace(segments);
        boolean lonely = spaced.size() > 1 && spaced.getFirst().equals(new Segment.Words(" "));
        spaced.stream().skip(lonely ? 1 : 0).forEach(segment -> append(segment, "", out));
      }
    }
    return out.toArray();
  }

  private static List<Segment> withLeadingSpace(List<Segment> segments) {
    List<Segment> spaced = new ArrayList<>(segments);
    if (!spaced.isEmpty() && spaced.getFirst() instanceof Segment.Words(String text)) {
      spaced.set(0, new Segment.Words(" " + text));
    } else {
      spaced.addFirst(new Segment.Words(" "));
    }
    return spaced;
  }

  private void append(Segment segment, String before, TokenBuffer out) {
    switch (segment) {
      case Segment.Ids(int[] ids) -> out.addAll(ids);
      case Segment.Words(String text) -> lookUp(before + text, out);
    }
  }

  private void lookUp(String text, TokenBuffer out) {
    if (text.length() > LONGEST_CHARACTERS) {
      throw new TextException(
          "a text of %d characters is longer than the %d that are looked up at once; cut it"
              .formatted(text.length(), LONGEST_CHARACTERS));
    }
    for (long id : pieces.encode(text, false, false).getIds()) {
      out.add(Math.toIntExact(id));
    }
  }

  /** Takes added tokens out of the words; neighbouring words become one run, empty ones vanish. */
  private List<Segment> split(List<Segment> text) {
    List<Segment> out = new ArrayList<>();
    StringBuilder words = new StringBuilder();
    for (Segment segment : text) {
      switch (segment) {
        case Segment.Words(String more) -> words.append(more);
        case Segment.Ids ids -> {
          split(words.toString(), out);
          words.setLength(0);
          out.add(ids);
        }
      }
    }
    split(words.toString(), out);
    return out;
  }

  private void split(String words, List<Segment> out) {
    int from = 0;
    // as the file says means that the library finds them, with the spaces that they take along
    if (addedPattern != null && prefix != SegmentPrefix.AS_FILE) {
      Matcher found = addedPattern.matcher(words);
      while (found.find()) {
        addWords(words.substring(from, found.start()), out);
        out.add(new Segment.Ids(new int[] {added.getOrDefault(found.group(), unk)}));
        from = found.end();
      }
    }
    addWords(words.substring(from), out);
  }

  private static void addWords(String words, List<Segment> out) {
    if (!words.isEmpty()) {
      out.add(new Segment.Words(words));
    }
  }

  /** Text of some ids; start, end and other special tokens are left out. */
  public String decode(int[] ids) {
    long[] wide = new long[ids.length];
    for (int i = 0; i < ids.length; i++) {
      wide[i] = ids[i];
    }
    return pieces.decode(wide, true);
  }

  /** Id of an added token, or -1: {@code added("<image>")}. */
  public int added(String token) {
    return added.getOrDefault(token, -1);
  }

  /** Start of a text; -1 where the model has none. */
  public int bos() {
    return bos;
  }

  public int eos() {
    return eos;
  }

  /** Filler behind the end of a row; the end token itself where the model names none. */
  public int pad() {
    return pad;
  }

  /** Whether the model names a padding token of its own. */
  public boolean namesPad() {
    return namesPad;
  }

  /**
   * What the model's own tokenizer puts in front of every text: nothing or {@link #bos}.
   *
   * @throws TextException if it adds anything else; no model known here does
   */
  public int[] start() {
    return frame.start(file, bos);
  }

  /** -1 where the model has none. */
  public int unk() {
    return unk;
  }

  /** One more than the largest id of tokenizer.json. */
  public int vocabularySize() {
    return vocabularySize;
  }

  public SegmentPrefix prefix() {
    return prefix;
  }

  public Path file() {
    return file;
  }

  @Override
  public void close() {
    pieces.close();
  }
}
