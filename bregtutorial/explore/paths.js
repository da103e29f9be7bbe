// The flow rests between events while p moves on a straight line; the Lasso moves on straight lines in lambda between
// knots. So both are exact at every t.
function find(list,t){var k=0;while(k+1<list.length&&list[k+1]<=t)k++;return k;}
function mix(a,b,s){return a.map(function(x,i){return x+s*(b[i]-x);});}
function flow(data,t){
  var k=find(data.times,t),more=k+1<data.times.length,s=more?(t-data.times[k])/(data.times[k+1]-data.times[k]):0;
  return {w:data.flow[k],p:more?mix(data.p[k],data.p[k+1],s):data.p[k],residual:data.residual[k],bias:data.bias[k]};
}
function lasso(data,lam){
  var knots=data.knots,k=0,s,r;
  while(k+2<knots.length&&knots[k+1]>=lam)k++;
  s=Math.min(Math.max((knots[k]-lam)/(knots[k]-knots[k+1]),0),1);
  r=data.square[k];
  return {w:mix(data.lasso[k],data.lasso[k+1],s),bias:lam<knots[0]?lam*data.slope[k]:0,
          residual:Math.sqrt(Math.max(r[0]+2*s*r[1]+s*s*r[2],0))};
}
function error(data,w){
  return Math.sqrt(w.reduce(function(sum,x,i){return sum+Math.pow(x-data.truth[i],2);},0));
}
function count(w){return w.filter(function(x){return Math.abs(x)>1e-9;}).length;}
function draw(data,state,view){
  var t=data.span[0]*Math.pow(data.span[1]/data.span[0],state.t/data.last),a=flow(data,t),n=count(a.w),
      lam=state.against===data.menu[0]?1/t:data.same[Math.min(n,data.same.length-1)],b=lasso(data,lam),
      told=[["Flow",a],["Lasso, λ = "+lam.toFixed(2),b]].map(function(e){
        return e[0]+": "+count(e[1].w)+" non-zeros, residual "+e[1].residual.toFixed(2)+", error "+
               error(data,e[1].w).toFixed(2)+", bias "+e[1].bias.toFixed(2);
      }),text="t = "+t.toFixed(2)+". "+told.join(". ")+".";
  function chosen(values,w,hot){
    return data.index.map(function(j,i){return [j,values[i]];}).filter(function(e,i){
      return Math.abs(w[i])>1e-9&&(data.truth[i]!==0)===hot;
    });
  }
  var walls=data.index.map(function(j){return a.p[j];});
  view.line("p","p",[].concat.apply([],a.p.map(function(x,j){return [[j,0],[j,x],null];})));
  view.dots("p-true","p",chosen(walls,a.w,true));
  view.dots("p-false","p",chosen(walls,a.w,false));
  view.dots("w-true","w",chosen(a.w,a.w,true));
  view.dots("w-false","w",chosen(a.w,a.w,false));
  view.dots("w-lasso","w",chosen(b.w,b.w,true).concat(chosen(b.w,b.w,false)));
  [["residual",a.residual,b.residual],["error",error(data,a.w),error(data,b.w)],["bias",a.bias,b.bias]].forEach(
    function(e){
      view.dots(e[0]+"-flow",e[0],[[t,e[1]]]);
      view.dots(e[0]+"-lasso",e[0],[[Math.min(Math.max(1/lam,data.span[0]),data.span[1]),e[2]]]);
    });
  return {text:text,alt:"Two paths to sparse weights. "+text};
}
