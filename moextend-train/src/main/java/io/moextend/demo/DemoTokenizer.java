package io.moextend.demo;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * A tokenizer that knows each word of the world as one token, written as tokenizer.json and
 * tokenizer_config.json of the Hugging Face tokenizers library. One for each way the demos write a
 * conversation.
 *
 * <p>Text is put in lower case and split into words and signs, so "What colour is it?" and "what
 * colour is it ?" are the same tokens; decoding gives the second. The ids do not depend on any
 * seed: 0 unknown, 1 start, 2 end, then other marks, the words, and the marks of a picture.
 */
public enum DemoTokenizer {
  /** MoExtend's: marks of an instruction before the words, the three marks of a picture last. */
  INSTRUCTIONS(
      List.of("<unk>", "<s>", "</s>", "[INST]", "[/INST]"),
      "",
      List.of("<image>", "</image>", "<imgpad>")),
  /** MoIIE's: the words of its template; a picture has no marks. */
  CONVERSATIONS(
      List.of("<unk>", "<s>", "<|endoftext|>"),
      """
      : , ' s
      chat between curious user artificial intelligence assistant gives helpful detailed polite
      answers to questions
      """,
      List.of());

  public static final int UNKNOWN = 0;
  public static final int START = 1;
  public static final int END = 2;

  private static final class Words {
    static final List<String> OF_THE_WORLD =
        List.of(
            """
          . ? !
          red green blue yellow white purple dark
          circle square triangle cross
          small large
          left right top bottom centre
          a an the is are am it i you there and of on at in than has
          what where who how many does can describe
          colour shape size place image opposite corners
          picture page wall box shows sees draws finds wants likes like says say
          bigger smaller yes no three four twelve
          tom anna sam lily ben mia
          grass snow sun sky rose plum milk leaf lemon cherry sea grape
          wheel coin plate window tile stamp tent sail roof plus
          house whale ship ant pea seed
          cat dog cow duck sheep owl frog lion bee snake
          meow woof moo quack baa hoot croak roar buzz hiss
          hello talk about shapes model world
          """
                .strip()
                .split("\\s+"));
  }

  private final List<String> marks;
  private final List<String> tokens;
  private final int imageId;

  DemoTokenizer(List<String> marks, String words, List<String> pictureMarks) {
    this.marks = Stream.concat(marks.stream(), pictureMarks.stream()).toList();
    var all = new ArrayList<>(marks);
    all.addAll(Words.OF_THE_WORLD);
    words.lines().flatMap(line -> Stream.of(line.split(" "))).forEach(all::add);
    this.imageId = all.size();
    all.addAll(pictureMarks);
    this.tokens = List.copyOf(all);
  }

  /** All tokens in the order of their ids. */
  public List<String> tokens() {
    return tokens;
  }

  /** Rows that a model's embedding needs. */
  public int vocabularySize() {
    return tokens.size();
  }

  /**
   * Id of {@code <image>}; {@code </image>} and {@code <imgpad>} follow.
   *
   * @throws IllegalStateException where a picture has no marks
   */
  public int imageId() {
    if (imageId == tokens.size()) {
      throw new IllegalStateException(this + " has no marks of a picture");
    }
    return imageId;
  }

  /** Writes tokenizer.json and tokenizer_config.json into a folder that exists. */
  public void write(Path folder) throws IOException {
    new WordLevelFiles(tokens, marks, tokens.get(UNKNOWN), startFirst(), settings()).write(folder);
  }

  /** Encoding with special tokens puts the start in front, never an end behind. */
  private Map<String, Object> startFirst() {
    String start = tokens.get(START);
    Map<String, Object> processor = new LinkedHashMap<>();
    processor.put("type", "TemplateProcessing");
    processor.put("single", List.of(special(start, 0), sequence("A", 0)));
    processor.put(
        "pair", List.of(special(start, 0), sequence("A", 0), special(start, 1), sequence("B", 1)));
    // not Map.of: its order changes from run to run, and the file must not
    Map<String, Object> startToken = ordered("id", start, "ids", List.of(START));
    startToken.put("tokens", List.of(start));
    processor.put("special_tokens", Map.of(start, startToken));
    return processor;
  }

  private static Map<String, Object> special(String token, int type) {
    return Map.of("SpecialToken", ordered("id", token, "type_id", type));
  }

  private static Map<String, Object> sequence(String name, int type) {
    return Map.of("Sequence", ordered("id", name, "type_id", type));
  }

  private static Map<String, Object> ordered(String k1, Object v1, String k2, Object v2) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put(k1, v1);
    map.put(k2, v2);
    return map;
  }

  private Map<String, Object> settings() {
    Map<String, Object> root = new LinkedHashMap<>();
    root.put("tokenizer_class", "PreTrainedTokenizerFast");
    root.put("add_bos_token", true);
    root.put("add_eos_token", false);
    root.put("bos_token", tokens.get(START));
    root.put("eos_token", tokens.get(END));
    root.put("unk_token", tokens.get(UNKNOWN));
    root.put("pad_token", tokens.get(END));
    root.put("legacy", false);
    root.put("clean_up_tokenization_spaces", false);
    root.put("model_max_length", 2048);
    return root;
  }
}
