"""The page side of `explore.frames`: style, markup and the script that swaps the frames.

The script needs no library, no network and no element outside its figure. Without it the page shows the first picture
and its value. Copies of one explorer, such as JupyterLab's second view of an output, are set up one by one, and each
gets ids of its own.
"""

from string import Template

#: The book's theme puts every HTML output of a cell on a light box in dark mode, which these figures do not need, and
#: centres captions under the column instead of the picture.
FIGURE_STYLE = """html[data-theme=dark] .bd-content div.cell_output .text_html:has(.bt-figure){\
background:none;color:inherit;padding:0}.bt-figure{margin:0 0 1rem;color:inherit}\
.bt-figure figcaption{width:auto;max-width:40rem;margin:.3rem 0 0;text-align:left}"""

HTML = Template("""<figure class="bt-figure bt-explorer" data-bt="$ident"><style>$style</style>
$picture
<div class="bt-controls" style="max-width:${width}px"><button type="button" hidden>Play</button>
<label><span>$label</span>
<input type="range" min="0" max="$last" step="1" value="0" aria-valuetext="$text" hidden></label>
<output aria-live="off">$text</output></div>$caption
<script>$script</script></figure>""")

STYLE = (
    FIGURE_STYLE
    + """
.bt-controls{display:flex;flex-wrap:wrap;align-items:center;gap:.25rem 1rem;text-align:left}
.bt-controls [hidden]{display:none}
.bt-controls button,.bt-controls input{min-height:44px;box-sizing:border-box;cursor:pointer}
.bt-controls button{min-width:5em;color:inherit;background:none;font:inherit;border:1px solid;border-radius:6px}
.bt-controls label{display:flex;align-items:center;gap:.75rem;margin:0;font:inherit}
.bt-controls input{flex:1;width:100%;min-width:5rem;margin:0;accent-color:#0072b2}
.bt-controls output{min-width:3em;font-variant-numeric:tabular-nums}
.bt-explorer[data-ready] label{flex:1 1 9rem}
.bt-explorer:not([data-ready]) label span::after{content:" ="}
.bt-controls :is(button,input):focus-visible{outline:3px solid #0072b2;outline-offset:2px}
@media print{.bt-controls :is(button,input){display:none}
.bt-explorer[data-ready] label{flex:none}.bt-controls label span::after{content:" ="}}"""
)

SCRIPT = """(function(){
var data=$data;
function setUp(figure){
  var copy=window.btCopies=(window.btCopies||0)+1,
      pool=data.pool.map(function(part){return part.split("bt$ident-").join("bt$ident-"+copy+"-");}),
      svg=figure.querySelector("svg"),range=figure.querySelector("input"),button=figure.querySelector("button"),
      output=figure.querySelector("output"),last=data.frames.length-1,timer=null,
      calm=window.matchMedia("(prefers-reduced-motion: reduce)");
  function show(i){
    range.value=i;
    svg.innerHTML=data.frames[i].map(function(k){return pool[k];}).join("");
    svg.setAttribute("aria-label",data.alts[i]);
    range.setAttribute("aria-valuetext",data.texts[i]);
    output.textContent=data.texts[i];
  }
  function speak(on){output.setAttribute("aria-live",on?"polite":"off");}
  function stop(){clearInterval(timer);timer=null;button.textContent=calm.matches?"Next":"Play";}
  function next(){show(+range.value<last?+range.value+1:0);}
  function tick(){if(!figure.isConnected){stop();return;}next();if(+range.value===last)stop();}
  function play(){
    if(+range.value===last)show(0);
    button.textContent="Pause";
    timer=setInterval(tick,$interval);
  }
  range.addEventListener("input",function(){speak(false);stop();show(+range.value);});
  range.addEventListener("pointerdown",stop);
  button.addEventListener("click",function(){
    if(timer){speak(true);stop();}
    else if(calm.matches){speak(true);next();}
    else{speak(false);play();}
  });
  calm.addEventListener("change",stop);
  figure.dataset.ready="";
  button.hidden=range.hidden=false;
  stop();
  show(+range.value);
}
document.querySelectorAll('.bt-explorer[data-bt="$ident"]:not([data-ready])').forEach(setUp);
})();"""
