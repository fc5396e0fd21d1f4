var w=(i,t,s)=>()=>{if(s)throw s[0];try{return i&&(t=i(i=0)),t}catch(e){throw s=[e],e}};var yr=(i,t)=>()=>{try{return t||i((t={exports:{}}).exports,t),t.exports}catch(s){throw t=0,s}};var Ie,ct=w(()=>{Ie=class extends Event{constructor(t,s,e,a){super("context-request",{bubbles:!0,composed:!0}),this.context=t,this.contextTarget=s,this.callback=e,this.subscribe=a??!1}}});var Ts=w(()=>{});var Qe,zi=w(()=>{ct();Qe=class{constructor(t,s,e,a){if(this.subscribe=!1,this.provided=!1,this.value=void 0,this.t=(h,r)=>{this.unsubscribe&&(this.unsubscribe!==r&&(this.provided=!1,this.unsubscribe()),this.subscribe||this.unsubscribe()),this.value=h,this.host.requestUpdate(),this.provided&&!this.subscribe||(this.provided=!0,this.callback&&this.callback(h,r)),this.unsubscribe=r},this.host=t,s.context!==void 0){let h=s;this.context=h.context,this.callback=h.callback,this.subscribe=h.subscribe??!1}else this.context=s,this.callback=e,this.subscribe=a??!1;this.host.addController(this)}hostConnected(){this.dispatchRequest()}hostDisconnected(){this.unsubscribe&&(this.unsubscribe(),this.unsubscribe=void 0)}dispatchRequest(){this.host.dispatchEvent(new Ie(this.context,this.host,this.t,this.subscribe))}}});var Vt,Es=w(()=>{Vt=class{get value(){return this.o}set value(t){this.setValue(t)}setValue(t,s=!1){let e=s||!Object.is(t,this.o);this.o=t,e&&this.updateObservers()}constructor(t){this.subscriptions=new Map,this.updateObservers=()=>{for(let[s,{disposer:e}]of this.subscriptions)s(this.o,e)},t!==void 0&&(this.value=t)}addCallback(t,s,e){if(!e)return void t(this.value);this.subscriptions.has(t)||this.subscriptions.set(t,{disposer:()=>{this.subscriptions.delete(t)},consumerHost:s});let{disposer:a}=this.subscriptions.get(t);t(this.value,a)}clearCallbacks(){this.subscriptions.clear()}}});var _i,Xe,bi=w(()=>{ct();Es();_i=class extends Event{constructor(t,s){super("context-provider",{bubbles:!0,composed:!0}),this.context=t,this.contextTarget=s}},Xe=class extends Vt{constructor(t,s,e){super(s.context!==void 0?s.initialValue:e),this.onContextRequest=a=>{if(a.context!==this.context)return;let h=a.contextTarget??a.composedPath()[0];h!==this.host&&(a.stopPropagation(),this.addCallback(a.callback,h,a.subscribe))},this.onProviderRequest=a=>{if(a.context!==this.context||(a.contextTarget??a.composedPath()[0])===this.host)return;let h=new Set;for(let[r,{consumerHost:c}]of this.subscriptions)h.has(r)||(h.add(r),c.dispatchEvent(new Ie(this.context,c,r,!0)));a.stopPropagation()},this.host=t,s.context!==void 0?this.context=s.context:this.context=s,this.attachListeners(),this.host.addController?.(this)}attachListeners(){this.host.addEventListener("context-request",this.onContextRequest),this.host.addEventListener("context-provider",this.onProviderRequest)}hostConnected(){this.host.dispatchEvent(new _i(this.context,this.host))}}});var Cs=w(()=>{ct();});function dt({context:i}){return(t,s)=>{let e=new WeakMap;if(typeof s=="object")return{get(){return t.get.call(this)},set(a){return e.get(this).setValue(a),t.set.call(this,a)},init(a){return e.set(this,new Xe(this,{context:i,initialValue:a})),a}};{t.constructor.addInitializer((r=>{e.set(r,new Xe(r,{context:i}))}));let a=Object.getOwnPropertyDescriptor(t,s),h;if(a===void 0){let r=new WeakMap;h={get(){return r.get(this)},set(c){e.get(this).setValue(c),r.set(this,c)},configurable:!0,enumerable:!0}}else{let r=a.set;h={...a,set(c){e.get(this).setValue(c),r?.call(this,c)}}}return void Object.defineProperty(t,s,h)}}}var Vs=w(()=>{bi();});function te({context:i,subscribe:t}){return(s,e)=>{typeof e=="object"?e.addInitializer((function(){new Qe(this,{context:i,callback:a=>{s.set.call(this,a)},subscribe:t})})):s.constructor.addInitializer((a=>{new Qe(a,{context:i,callback:h=>{a[e]=h},subscribe:t})}))}}var js=w(()=>{zi();});var me=w(()=>{ct();Ts();zi();bi();Cs();Vs();js()});var jt,At,yi,As,mt,Ss,U,Ds,Mi,wi=w(()=>{jt=globalThis,At=jt.ShadowRoot&&(jt.ShadyCSS===void 0||jt.ShadyCSS.nativeShadow)&&"adoptedStyleSheets"in Document.prototype&&"replace"in CSSStyleSheet.prototype,yi=Symbol(),As=new WeakMap,mt=class{constructor(t,s,e){if(this._$cssResult$=!0,e!==yi)throw Error("CSSResult is not constructable. Use `unsafeCSS` or `css` instead.");this.cssText=t,this.t=s}get styleSheet(){let t=this.o,s=this.t;if(At&&t===void 0){let e=s!==void 0&&s.length===1;e&&(t=As.get(s)),t===void 0&&((this.o=t=new CSSStyleSheet).replaceSync(this.cssText),e&&As.set(s,t))}return t}toString(){return this.cssText}},Ss=i=>new mt(typeof i=="string"?i:i+"",void 0,yi),U=(i,...t)=>{let s=i.length===1?i[0]:t.reduce((e,a,h)=>e+(r=>{if(r._$cssResult$===!0)return r.cssText;if(typeof r=="number")return r;throw Error("Value passed to 'css' function must be a 'css' function result: "+r+". Use 'unsafeCSS' to pass non-literal values, but take care to ensure page security.")})(a)+i[h+1],i[0]);return new mt(s,i,yi)},Ds=(i,t)=>{if(At)i.adoptedStyleSheets=t.map(s=>s instanceof CSSStyleSheet?s:s.styleSheet);else for(let s of t){let e=document.createElement("style"),a=jt.litNonce;a!==void 0&&e.setAttribute("nonce",a),e.textContent=s.cssText,i.appendChild(e)}},Mi=At?i=>i:i=>i instanceof CSSStyleSheet?(t=>{let s="";for(let e of t.cssRules)s+=e.cssText;return Ss(s)})(i):i});var wr,xr,Hr,$r,kr,Tr,St,Os,Er,Cr,ft,vt,Dt,Is,ye,pt=w(()=>{wi();wi();({is:wr,defineProperty:xr,getOwnPropertyDescriptor:Hr,getOwnPropertyNames:$r,getOwnPropertySymbols:kr,getPrototypeOf:Tr}=Object),St=globalThis,Os=St.trustedTypes,Er=Os?Os.emptyScript:"",Cr=St.reactiveElementPolyfillSupport,ft=(i,t)=>i,vt={toAttribute(i,t){switch(t){case Boolean:i=i?Er:null;break;case Object:case Array:i=i==null?i:JSON.stringify(i)}return i},fromAttribute(i,t){let s=i;switch(t){case Boolean:s=i!==null;break;case Number:s=i===null?null:Number(i);break;case Object:case Array:try{s=JSON.parse(i)}catch{s=null}}return s}},Dt=(i,t)=>!wr(i,t),Is={attribute:!0,type:String,converter:vt,reflect:!1,useDefault:!1,hasChanged:Dt};Symbol.metadata??=Symbol("metadata"),St.litPropertyMetadata??=new WeakMap;ye=class extends HTMLElement{static addInitializer(t){this._$Ei(),(this.l??=[]).push(t)}static get observedAttributes(){return this.finalize(),this._$Eh&&[...this._$Eh.keys()]}static createProperty(t,s=Is){if(s.state&&(s.attribute=!1),this._$Ei(),this.prototype.hasOwnProperty(t)&&((s=Object.create(s)).wrapped=!0),this.elementProperties.set(t,s),!s.noAccessor){let e=Symbol(),a=this.getPropertyDescriptor(t,e,s);a!==void 0&&xr(this.prototype,t,a)}}static getPropertyDescriptor(t,s,e){let{get:a,set:h}=Hr(this.prototype,t)??{get(){return this[s]},set(r){this[s]=r}};return{get:a,set(r){let c=a?.call(this);h?.call(this,r),this.requestUpdate(t,c,e)},configurable:!0,enumerable:!0}}static getPropertyOptions(t){return this.elementProperties.get(t)??Is}static _$Ei(){if(this.hasOwnProperty(ft("elementProperties")))return;let t=Tr(this);t.finalize(),t.l!==void 0&&(this.l=[...t.l]),this.elementProperties=new Map(t.elementProperties)}static finalize(){if(this.hasOwnProperty(ft("finalized")))return;if(this.finalized=!0,this._$Ei(),this.hasOwnProperty(ft("properties"))){let s=this.properties,e=[...$r(s),...kr(s)];for(let a of e)this.createProperty(a,s[a])}let t=this[Symbol.metadata];if(t!==null){let s=litPropertyMetadata.get(t);if(s!==void 0)for(let[e,a]of s)this.elementProperties.set(e,a)}this._$Eh=new Map;for(let[s,e]of this.elementProperties){let a=this._$Eu(s,e);a!==void 0&&this._$Eh.set(a,s)}this.elementStyles=this.finalizeStyles(this.styles)}static finalizeStyles(t){let s=[];if(Array.isArray(t)){let e=new Set(t.flat(1/0).reverse());for(let a of e)s.unshift(Mi(a))}else t!==void 0&&s.push(Mi(t));return s}static _$Eu(t,s){let e=s.attribute;return e===!1?void 0:typeof e=="string"?e:typeof t=="string"?t.toLowerCase():void 0}constructor(){super(),this._$Ep=void 0,this.isUpdatePending=!1,this.hasUpdated=!1,this._$Em=null,this._$Ev()}_$Ev(){this._$ES=new Promise(t=>this.enableUpdating=t),this._$AL=new Map,this._$E_(),this.requestUpdate(),this.constructor.l?.forEach(t=>t(this))}addController(t){(this._$EO??=new Set).add(t),this.renderRoot!==void 0&&this.isConnected&&t.hostConnected?.()}removeController(t){this._$EO?.delete(t)}_$E_(){let t=new Map,s=this.constructor.elementProperties;for(let e of s.keys())this.hasOwnProperty(e)&&(t.set(e,this[e]),delete this[e]);t.size>0&&(this._$Ep=t)}createRenderRoot(){let t=this.shadowRoot??this.attachShadow(this.constructor.shadowRootOptions);return Ds(t,this.constructor.elementStyles),t}connectedCallback(){this.renderRoot??=this.createRenderRoot(),this.enableUpdating(!0),this._$EO?.forEach(t=>t.hostConnected?.())}enableUpdating(t){}disconnectedCallback(){this._$EO?.forEach(t=>t.hostDisconnected?.())}attributeChangedCallback(t,s,e){this._$AK(t,e)}_$ET(t,s){let e=this.constructor.elementProperties.get(t),a=this.constructor._$Eu(t,e);if(a!==void 0&&e.reflect===!0){let h=(e.converter?.toAttribute!==void 0?e.converter:vt).toAttribute(s,e.type);this._$Em=t,h==null?this.removeAttribute(a):this.setAttribute(a,h),this._$Em=null}}_$AK(t,s){let e=this.constructor,a=e._$Eh.get(t);if(a!==void 0&&this._$Em!==a){let h=e.getPropertyOptions(a),r=typeof h.converter=="function"?{fromAttribute:h.converter}:h.converter?.fromAttribute!==void 0?h.converter:vt;this._$Em=a;let c=r.fromAttribute(s,h.type);this[a]=c??this._$Ej?.get(a)??c,this._$Em=null}}requestUpdate(t,s,e,a=!1,h){if(t!==void 0){let r=this.constructor;if(a===!1&&(h=this[t]),e??=r.getPropertyOptions(t),!((e.hasChanged??Dt)(h,s)||e.useDefault&&e.reflect&&h===this._$Ej?.get(t)&&!this.hasAttribute(r._$Eu(t,e))))return;this.C(t,s,e)}this.isUpdatePending===!1&&(this._$ES=this._$EP())}C(t,s,{useDefault:e,reflect:a,wrapped:h},r){e&&!(this._$Ej??=new Map).has(t)&&(this._$Ej.set(t,r??s??this[t]),h!==!0||r!==void 0)||(this._$AL.has(t)||(this.hasUpdated||e||(s=void 0),this._$AL.set(t,s)),a===!0&&this._$Em!==t&&(this._$Eq??=new Set).add(t))}async _$EP(){this.isUpdatePending=!0;try{await this._$ES}catch(s){Promise.reject(s)}let t=this.scheduleUpdate();return t!=null&&await t,!this.isUpdatePending}scheduleUpdate(){return this.performUpdate()}performUpdate(){if(!this.isUpdatePending)return;if(!this.hasUpdated){if(this.renderRoot??=this.createRenderRoot(),this._$Ep){for(let[a,h]of this._$Ep)this[a]=h;this._$Ep=void 0}let e=this.constructor.elementProperties;if(e.size>0)for(let[a,h]of e){let{wrapped:r}=h,c=this[a];r!==!0||this._$AL.has(a)||c===void 0||this.C(a,void 0,h,c)}}let t=!1,s=this._$AL;try{t=this.shouldUpdate(s),t?(this.willUpdate(s),this._$EO?.forEach(e=>e.hostUpdate?.()),this.update(s)):this._$EM()}catch(e){throw t=!1,this._$EM(),e}t&&this._$AE(s)}willUpdate(t){}_$AE(t){this._$EO?.forEach(s=>s.hostUpdated?.()),this.hasUpdated||(this.hasUpdated=!0,this.firstUpdated(t)),this.updated(t)}_$EM(){this._$AL=new Map,this.isUpdatePending=!1}get updateComplete(){return this.getUpdateComplete()}getUpdateComplete(){return this._$ES}shouldUpdate(t){return!0}update(t){this._$Eq&&=this._$Eq.forEach(s=>this._$ET(s,this[s])),this._$EM()}updated(t){}firstUpdated(t){}};ye.elementStyles=[],ye.shadowRootOptions={mode:"open"},ye[ft("elementProperties")]=new Map,ye[ft("finalized")]=new Map,Cr?.({ReactiveElement:ye}),(St.reactiveElementVersions??=[]).push("2.1.2")});function Ws(i,t){if(!Ti(i)||!i.hasOwnProperty("raw"))throw Error("invalid template strings array");return Ps!==void 0?Ps.createHTML(t):t}function Ue(i,t,s=i,e){if(t===pe)return t;let a=e!==void 0?s._$Co?.[e]:s._$Cl,h=zt(t)?void 0:t._$litDirective$;return a?.constructor!==h&&(a?._$AO?.(!1),h===void 0?a=void 0:(a=new h(i),a._$AT(i,s,e)),e!==void 0?(s._$Co??=[])[e]=a:s._$Cl=a),a!==void 0&&(t=Ue(i,a._$AS(i,t.values),a,e)),t}var Hi,Bs,Ot,Ps,$i,Me,ki,Vr,Re,gt,zt,Ti,qs,xi,ut,Ns,Ls,Ne,Rs,Us,Zs,Ei,m,E,bh,pe,ie,Fs,Le,Gs,_t,It,Ye,Fe,Bt,Pt,Nt,Lt,Ks,jr,Js,we=w(()=>{Hi=globalThis,Bs=i=>i,Ot=Hi.trustedTypes,Ps=Ot?Ot.createPolicy("lit-html",{createHTML:i=>i}):void 0,$i="$lit$",Me=`lit$${Math.random().toFixed(9).slice(2)}$`,ki="?"+Me,Vr=`<${ki}>`,Re=document,gt=()=>Re.createComment(""),zt=i=>i===null||typeof i!="object"&&typeof i!="function",Ti=Array.isArray,qs=i=>Ti(i)||typeof i?.[Symbol.iterator]=="function",xi=`[ 	
\f\r]`,ut=/<(?:(!--|\/[^a-zA-Z])|(\/?[a-zA-Z][^>\s]*)|(\/?$))/g,Ns=/-->/g,Ls=/>/g,Ne=RegExp(`>|${xi}(?:([^\\s"'>=/]+)(${xi}*=${xi}*(?:[^ 	
\f\r"'\`<>=]|("|')|))|$)`,"g"),Rs=/'/g,Us=/"/g,Zs=/^(?:script|style|textarea|title)$/i,Ei=i=>(t,...s)=>({_$litType$:i,strings:t,values:s}),m=Ei(1),E=Ei(2),bh=Ei(3),pe=Symbol.for("lit-noChange"),ie=Symbol.for("lit-nothing"),Fs=new WeakMap,Le=Re.createTreeWalker(Re,129);Gs=(i,t)=>{let s=i.length-1,e=[],a,h=t===2?"<svg>":t===3?"<math>":"",r=ut;for(let c=0;c<s;c++){let z=i[c],f,l,o=-1,y=0;for(;y<z.length&&(r.lastIndex=y,l=r.exec(z),l!==null);)y=r.lastIndex,r===ut?l[1]==="!--"?r=Ns:l[1]!==void 0?r=Ls:l[2]!==void 0?(Zs.test(l[2])&&(a=RegExp("</"+l[2],"g")),r=Ne):l[3]!==void 0&&(r=Ne):r===Ne?l[0]===">"?(r=a??ut,o=-1):l[1]===void 0?o=-2:(o=r.lastIndex-l[2].length,f=l[1],r=l[3]===void 0?Ne:l[3]==='"'?Us:Rs):r===Us||r===Rs?r=Ne:r===Ns||r===Ls?r=ut:(r=Ne,a=void 0);let _=r===Ne&&i[c+1].startsWith("/>")?" ":"";h+=r===ut?z+Vr:o>=0?(e.push(f),z.slice(0,o)+$i+z.slice(o)+Me+_):z+Me+(o===-2?c:_)}return[Ws(i,h+(i[s]||"<?>")+(t===2?"</svg>":t===3?"</math>":"")),e]},_t=class i{constructor({strings:t,_$litType$:s},e){let a;this.parts=[];let h=0,r=0,c=t.length-1,z=this.parts,[f,l]=Gs(t,s);if(this.el=i.createElement(f,e),Le.currentNode=this.el.content,s===2||s===3){let o=this.el.content.firstChild;o.replaceWith(...o.childNodes)}for(;(a=Le.nextNode())!==null&&z.length<c;){if(a.nodeType===1){if(a.hasAttributes())for(let o of a.getAttributeNames())if(o.endsWith($i)){let y=l[r++],_=a.getAttribute(o).split(Me),g=/([.?@])?(.*)/.exec(y);z.push({type:1,index:h,name:g[2],strings:_,ctor:g[1]==="."?Bt:g[1]==="?"?Pt:g[1]==="@"?Nt:Fe}),a.removeAttribute(o)}else o.startsWith(Me)&&(z.push({type:6,index:h}),a.removeAttribute(o));if(Zs.test(a.tagName)){let o=a.textContent.split(Me),y=o.length-1;if(y>0){a.textContent=Ot?Ot.emptyScript:"";for(let _=0;_<y;_++)a.append(o[_],gt()),Le.nextNode(),z.push({type:2,index:++h});a.append(o[y],gt())}}}else if(a.nodeType===8)if(a.data===ki)z.push({type:2,index:h});else{let o=-1;for(;(o=a.data.indexOf(Me,o+1))!==-1;)z.push({type:7,index:h}),o+=Me.length-1}h++}}static createElement(t,s){let e=Re.createElement("template");return e.innerHTML=t,e}};It=class{constructor(t,s){this._$AV=[],this._$AN=void 0,this._$AD=t,this._$AM=s}get parentNode(){return this._$AM.parentNode}get _$AU(){return this._$AM._$AU}u(t){let{el:{content:s},parts:e}=this._$AD,a=(t?.creationScope??Re).importNode(s,!0);Le.currentNode=a;let h=Le.nextNode(),r=0,c=0,z=e[0];for(;z!==void 0;){if(r===z.index){let f;z.type===2?f=new Ye(h,h.nextSibling,this,t):z.type===1?f=new z.ctor(h,z.name,z.strings,this,t):z.type===6&&(f=new Lt(h,this,t)),this._$AV.push(f),z=e[++c]}r!==z?.index&&(h=Le.nextNode(),r++)}return Le.currentNode=Re,a}p(t){let s=0;for(let e of this._$AV)e!==void 0&&(e.strings!==void 0?(e._$AI(t,e,s),s+=e.strings.length-2):e._$AI(t[s])),s++}},Ye=class i{get _$AU(){return this._$AM?._$AU??this._$Cv}constructor(t,s,e,a){this.type=2,this._$AH=ie,this._$AN=void 0,this._$AA=t,this._$AB=s,this._$AM=e,this.options=a,this._$Cv=a?.isConnected??!0}get parentNode(){let t=this._$AA.parentNode,s=this._$AM;return s!==void 0&&t?.nodeType===11&&(t=s.parentNode),t}get startNode(){return this._$AA}get endNode(){return this._$AB}_$AI(t,s=this){t=Ue(this,t,s),zt(t)?t===ie||t==null||t===""?(this._$AH!==ie&&this._$AR(),this._$AH=ie):t!==this._$AH&&t!==pe&&this._(t):t._$litType$!==void 0?this.$(t):t.nodeType!==void 0?this.T(t):qs(t)?this.k(t):this._(t)}O(t){return this._$AA.parentNode.insertBefore(t,this._$AB)}T(t){this._$AH!==t&&(this._$AR(),this._$AH=this.O(t))}_(t){this._$AH!==ie&&zt(this._$AH)?this._$AA.nextSibling.data=t:this.T(Re.createTextNode(t)),this._$AH=t}$(t){let{values:s,_$litType$:e}=t,a=typeof e=="number"?this._$AC(t):(e.el===void 0&&(e.el=_t.createElement(Ws(e.h,e.h[0]),this.options)),e);if(this._$AH?._$AD===a)this._$AH.p(s);else{let h=new It(a,this),r=h.u(this.options);h.p(s),this.T(r),this._$AH=h}}_$AC(t){let s=Fs.get(t.strings);return s===void 0&&Fs.set(t.strings,s=new _t(t)),s}k(t){Ti(this._$AH)||(this._$AH=[],this._$AR());let s=this._$AH,e,a=0;for(let h of t)a===s.length?s.push(e=new i(this.O(gt()),this.O(gt()),this,this.options)):e=s[a],e._$AI(h),a++;a<s.length&&(this._$AR(e&&e._$AB.nextSibling,a),s.length=a)}_$AR(t=this._$AA.nextSibling,s){for(this._$AP?.(!1,!0,s);t!==this._$AB;){let e=Bs(t).nextSibling;Bs(t).remove(),t=e}}setConnected(t){this._$AM===void 0&&(this._$Cv=t,this._$AP?.(t))}},Fe=class{get tagName(){return this.element.tagName}get _$AU(){return this._$AM._$AU}constructor(t,s,e,a,h){this.type=1,this._$AH=ie,this._$AN=void 0,this.element=t,this.name=s,this._$AM=a,this.options=h,e.length>2||e[0]!==""||e[1]!==""?(this._$AH=Array(e.length-1).fill(new String),this.strings=e):this._$AH=ie}_$AI(t,s=this,e,a){let h=this.strings,r=!1;if(h===void 0)t=Ue(this,t,s,0),r=!zt(t)||t!==this._$AH&&t!==pe,r&&(this._$AH=t);else{let c=t,z,f;for(t=h[0],z=0;z<h.length-1;z++)f=Ue(this,c[e+z],s,z),f===pe&&(f=this._$AH[z]),r||=!zt(f)||f!==this._$AH[z],f===ie?t=ie:t!==ie&&(t+=(f??"")+h[z+1]),this._$AH[z]=f}r&&!a&&this.j(t)}j(t){t===ie?this.element.removeAttribute(this.name):this.element.setAttribute(this.name,t??"")}},Bt=class extends Fe{constructor(){super(...arguments),this.type=3}j(t){this.element[this.name]=t===ie?void 0:t}},Pt=class extends Fe{constructor(){super(...arguments),this.type=4}j(t){this.element.toggleAttribute(this.name,!!t&&t!==ie)}},Nt=class extends Fe{constructor(t,s,e,a,h){super(t,s,e,a,h),this.type=5}_$AI(t,s=this){if((t=Ue(this,t,s,0)??ie)===pe)return;let e=this._$AH,a=t===ie&&e!==ie||t.capture!==e.capture||t.once!==e.once||t.passive!==e.passive,h=t!==ie&&(e===ie||a);a&&this.element.removeEventListener(this.name,this,e),h&&this.element.addEventListener(this.name,this,t),this._$AH=t}handleEvent(t){typeof this._$AH=="function"?this._$AH.call(this.options?.host??this.element,t):this._$AH.handleEvent(t)}},Lt=class{constructor(t,s,e){this.element=t,this.type=6,this._$AN=void 0,this._$AM=s,this.options=e}get _$AU(){return this._$AM._$AU}_$AI(t){Ue(this,t)}},Ks={M:$i,P:Me,A:ki,C:1,L:Gs,R:It,D:qs,V:Ue,I:Ye,H:Fe,N:Pt,U:Nt,B:Bt,F:Lt},jr=Hi.litHtmlPolyfillSupport;jr?.(_t,Ye),(Hi.litHtmlVersions??=[]).push("3.3.3");Js=(i,t,s)=>{let e=s?.renderBefore??t,a=e._$litPart$;if(a===void 0){let h=s?.renderBefore??null;e._$litPart$=a=new Ye(t.insertBefore(gt(),h),h,void 0,s??{})}return a._$AI(i),a}});var Ci,N,Ar,Qs=w(()=>{pt();pt();we();we();Ci=globalThis,N=class extends ye{constructor(){super(...arguments),this.renderOptions={host:this},this._$Do=void 0}createRenderRoot(){let t=super.createRenderRoot();return this.renderOptions.renderBefore??=t.firstChild,t}update(t){let s=this.render();this.hasUpdated||(this.renderOptions.isConnected=this.isConnected),super.update(t),this._$Do=Js(s,this.renderRoot,this.renderOptions)}connectedCallback(){super.connectedCallback(),this._$Do?.setConnected(!0)}disconnectedCallback(){super.disconnectedCallback(),this._$Do?.setConnected(!1)}render(){return pe}};N._$litElement$=!0,N.finalized=!0,Ci.litElementHydrateSupport?.({LitElement:N});Ar=Ci.litElementPolyfillSupport;Ar?.({LitElement:N});(Ci.litElementVersions??=[]).push("4.2.2")});var Xs=w(()=>{});var O=w(()=>{pt();we();Qs();Xs()});var F,Ys=w(()=>{F=i=>(t,s)=>{s!==void 0?s.addInitializer(()=>{customElements.define(i,t)}):customElements.define(i,t)}});function M(i){return(t,s)=>typeof s=="object"?Dr(i,t,s):((e,a,h)=>{let r=a.hasOwnProperty(h);return a.constructor.createProperty(h,e),r?Object.getOwnPropertyDescriptor(a,h):void 0})(i,t,s)}var Sr,Dr,Vi=w(()=>{pt();Sr={attribute:!0,type:String,converter:vt,reflect:!1,hasChanged:Dt},Dr=(i=Sr,t,s)=>{let{kind:e,metadata:a}=s,h=globalThis.litPropertyMetadata.get(a);if(h===void 0&&globalThis.litPropertyMetadata.set(a,h=new Map),e==="setter"&&((i=Object.create(i)).wrapped=!0),h.set(s.name,i),e==="accessor"){let{name:r}=s;return{set(c){let z=t.get.call(this);t.set.call(this,c),this.requestUpdate(r,z,i,!0,c)},init(c){return c!==void 0&&this.C(r,void 0,i,c),c}}}if(e==="setter"){let{name:r}=s;return function(c){let z=this[r];t.call(this,c),this.requestUpdate(r,z,i,!0,c)}}throw Error("Unsupported decorator location: "+e)}});var ea=w(()=>{Vi();});var ta=w(()=>{});var et=w(()=>{});var ia=w(()=>{et();});var sa=w(()=>{et();});var aa=w(()=>{et();});var ra=w(()=>{et();});var oa=w(()=>{et();});var se=w(()=>{Ys();Vi();ea();ta();ia();sa();aa();ra();oa()});function R(i,t,s){return i?t(i):s?.(i)}var ha=w(()=>{});var be=w(()=>{ha()});var c3,la,na=w(()=>{we();({I:c3}=Ks),la=i=>i.strings===void 0});var tt,qe,Be,it=w(()=>{tt={ATTRIBUTE:1,CHILD:2,PROPERTY:3,BOOLEAN_ATTRIBUTE:4,EVENT:5,ELEMENT:6},qe=i=>(...t)=>({_$litDirective$:i,values:t}),Be=class{constructor(t){}get _$AU(){return this._$AM._$AU}_$AT(t,s,e){this._$Ct=t,this._$AM=s,this._$Ci=e}_$AS(t,s){return this.update(t,s)}update(t,s){return this.render(...s)}}});function Or(i){this._$AN!==void 0?(Ut(this),this._$AM=i,ca(this)):this._$AM=i}function Ir(i,t=!1,s=0){let e=this._$AH,a=this._$AN;if(a!==void 0&&a.size!==0)if(t)if(Array.isArray(e))for(let h=s;h<e.length;h++)bt(e[h],!1),Ut(e[h]);else e!=null&&(bt(e,!1),Ut(e));else bt(this,i)}var bt,Ut,ca,Br,Ft,da=w(()=>{na();it();it();bt=(i,t)=>{let s=i._$AN;if(s===void 0)return!1;for(let e of s)e._$AO?.(t,!1),bt(e,t);return!0},Ut=i=>{let t,s;do{if((t=i._$AM)===void 0)break;s=t._$AN,s.delete(i),i=t}while(s?.size===0)},ca=i=>{for(let t;t=i._$AM;i=t){let s=t._$AN;if(s===void 0)t._$AN=s=new Set;else if(s.has(i))break;s.add(i),Br(t)}};Br=i=>{i.type==tt.CHILD&&(i._$AP??=Ir,i._$AQ??=Or)},Ft=class extends Be{constructor(){super(...arguments),this._$AN=void 0}_$AT(t,s,e){super._$AT(t,s,e),ca(this),this.isConnected=t._$AU}_$AO(t,s=!0){t!==this.isConnected&&(this.isConnected=t,t?this.reconnected?.():this.disconnected?.()),s&&(bt(this,t),Ut(this))}setValue(t){if(la(this._$Ct))this._$Ct._$AI(t,this);else{let s=[...this._$Ct._$AH];s[this._$Ci]=t,this._$Ct._$AI(s,this,0)}}disconnected(){}reconnected(){}}});var ma=w(()=>{da()});var fa=w(()=>{it()});var va=w(()=>{we()});var ji,C,W=w(()=>{ma();fa();va();ji=class extends Ft{host;element;prevData={};eventData={};render(t){return ie}update(t,[s]){this.element!==t.element&&(this.element=t.element),this.host=t.options?.host??this.element,this.apply(s),this.groom(s),this.prevData={...s}}apply(t){if(!t)return;let{prevData:s,element:e}=this;for(let[a,h]of Object.entries(t)){if(h===s[a])continue;let r=a.slice(1);switch(a[0]){case"@":this.eventData[r]=h,this.applyEvent(r,h);break;case".":e[r]=h;break;case"?":h?e.setAttribute(r,""):e.removeAttribute(r);break;default:h===null?e.removeAttribute(a):e.setAttribute(a,String(h));break}}}groom(t){let{prevData:s,element:e}=this;if(s)for(let[a,h]of Object.entries(s)){let r=a.slice(1);if(!t||!(a in t)&&e[r]===h)switch(a[0]){case"@":this.groomEvent(r,h);break;case".":e[r]=void 0;break;case"?":e.removeAttribute(r);break;default:e.removeAttribute(a);break}}}applyEvent(t,s){let{prevData:e,element:a}=this;this.eventData[t]=s,e[t]&&a.removeEventListener(t,this,s),a.addEventListener(t,this,s)}groomEvent(t,s){let{element:e}=this;Reflect.deleteProperty(this.eventData,t),e.removeEventListener(t,this,s)}handleEvent(t){let s=this.eventData[t.type];typeof s=="function"?s.call(this.host,t):s.handleEvent(t)}disconnected(){let{eventData:t,element:s}=this;for(let[e,a]of Object.entries(t)){let h=e.slice(1);s.removeEventListener(h,this,a)}}reconnected(){let{eventData:t,element:s}=this;for(let[e,a]of Object.entries(t)){let h=e.slice(1);s.addEventListener(h,this,a)}}},C=qe(ji)});function qt(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Pr}
	</svg>`}var Pr,pa=w(()=>{O();W();Pr=E`
	<path d="M5.688 3.5v.438H5.25v.438h-.438V1.313h-.438V.875h-.436V.438H3.5v6.125h2.625v-.438H5.25v-.438h.438v-.438h.438v-.438h.438V3.5z" fill="#b79cf8"/>
	<path d="M3.063.438v.438h-.438v.438h-.437v3.5h-.875v-.438H.438v1.75h.438v.438h2.625V.438z" fill="#ff7fc0"/>
	<path d="M3.938 0h-.875v.438h.875zm-.875.438h-.438v.438h.438z" fill="#000"/>
	<path d="M3.938.438h-.875v.438h.875zm-.875.437h-.438v.438h.438zm0 1.75h-.438v.438h.438z" fill="#f0f0f0"/>
	<path d="M2.188 5.25H1.75v.438h.438z" fill="#ffa5d3"/>
	<path d="M2.625 5.25h-.437v.438h.438zm-1.75.438H.438v.438h.438zm2.625.438H.875v.438H3.5z" fill="#ff1c90"/>
	<path d="M1.75 5.688h-.437v.438h.438zm-.438-.438H.875v.438h.438zm1.313-.875V3.5h-.437v1.313h.438v1.313h.438v-1.75zm.438-3.5v1.313h-.438v.438h.438v1.313h.438V.875z" fill="#ffa5d3"/>
	<path d="M6.125 3.5h-.438v.438h.438zm-.438.438h-.438v.438h.438zm-3.5.875h-.874v.438h.875zm-.875-.438H.438v.438h.875z" fill="#f0f0f0"/>
	<path d="M.875 5.25v-.875H.438v.875z" fill="#f0f0f0"/>
	<path d="M4.813 1.313h-.438v.438h.438z" fill="#cdbafa"/>
	<path d="M2.625 1.313h-.437v1.313h.438z" fill="#f0f0f0"/>
	<path d="M4.375.438h-.437v.438h.438zm.438.438h-.438v.438h.438zM2.625 4.814h-.437v.438h.438zm3.938 0h-.438v.438h.438zm-.875.438v.438H5.25v.438h.875v-.875zm.438.875v.438H.875v.438h5.688v-.875zM.875 6.125H.438v.438h.438zM7 3.062H5.687V3.5H7zm-5.687.876H0v.438h1.313z" fill="#000"/>
	<path d="M.438 6.125V3.938H0v2.188zm6.563-1.313V3.5h-.438v1.313zM2.625.875h-.437v.438h.438zm-.875.438v3.063h-.437v.438h.875V1.313zm3.5 2.188V1.313h-.438v3.063h.438v-.438h.438V3.5z" fill="#000"/>
	<path d="M3.938.875H3.5v.875h.438zm.438 1.75V1.75h-.438V3.5h.438v.438h.438V2.625zm.875 1.75h-.438v.438h.438zm-1.313 0H3.5v1.313h.438zm.875 1.313h-.438v.438h.438zm0-.875h-.438v.438h.438zm.438.438h-.438v.438h.438z" fill="#cdbafa"/>
	<path d="M5.25 6.125v-.438h-.438v.438H3.5v.438h2.625v-.438zm.438-.875H5.25v.438h.438zm.438-.438h-.438v.438h.438z" fill="#816bee"/>
`});function Zt(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Nr}
	</svg>`}var Nr,ua=w(()=>{O();W();Nr=E`
	<path d="M4.375 1.75v-.437h-.437V.438h-.875v.875h-.438v.438h-.437v.438h.438v.438h.438v.438h.875v-.44h.438v-.437h.438V1.75z" fill="#47baff"/>
	<path d="M4.375 5.25v.438h-.437v.875h-.875v-.875h-.438V5.25h-.437v-.438h.438v-.438h.438v-.436h.875v.438h.438v.438h.438v.438z" fill="#ff2c52"/>
	<path d="M3.063 0v.438h.875V0z" fill="#000"/>
	<path d="M3.063.438v.438h.875V.438z" fill="#f0f0f0"/>
	<path d="M3.063 2.625v.438h.875v-.438z" fill="#4282d8"/>
	<path d="M3.063.438h-.438v.875h.438zM.438 3.063H0v.875h.438zm.875 0v-.438H.438v.438zm1.313-1.75h-.438v.438h.438z" fill="#000"/>
	<path d="M2.625 1.75h-.437v.438h.438zm.438-.438h-.438v.438h.438zm0 2.625v.438h.875v-.437z" fill="#f0f0f0"/>
	<path d="M3.063 6.125v.438h.875v-.438zm0-.875h-.438v.438h.438zm-.438-.438h-.437v.438h.438z" fill="#be0351"/>
	<path d="M3.063 4.375h-.438v.438h.438z" fill="#f0f0f0"/>
	<path d="M3.938 5.688h.438V5.25h-.438zm.438-.438h.438v-.438h-.438zm-.438-.438h.438v-.438h-.438z" fill="#be0351"/>
	<path d="M3.5 1.75h-.437v.438h.438z" fill="#f0f0f0"/>
	<path d="M4.375 2.188h-.437v.438h.438zm.438-.438h-.438v.438h.438z" fill="#4282d8"/>
	<path d="M5.25 4.375h.438v-.437h.875v-.875h-.875v-.438H5.25v-.437h-.438v.438h-.438v.438h-.436v.875h.438v.438h.438v.438h.438z" fill="#C7C7C7"/>
	<path d="M6.563 3.063h-.438v.875h.438z" fill="#707070"/>
	<path d="M5.25 2.625v-.437h-.438v.438zm-.438.438v-.438h-.438v.438z" fill="#fff"/>
	<path d="M4.813 4.375v-.437h-.438v.438zm-.438-.438V3.5h-.437v.438zm1.313.438v-.437H5.25v.438zm-.438.438v-.438h-.438v.438z" fill="#707070"/>
	<path d="M1.75 4.375h-.437v-.437H.438v-.875h.875v-.438h.438v-.437h.438v.438h.438v.438h.438v.875h-.44v.438h-.437v.438H1.75z" fill="#C7C7C7"/>
	<path d="M.438 3.938h.438v-.875H.438z" fill="#fff"/>
	<path d="M2.625 3.938h.438v-.875h-.438z" fill="#707070"/>
	<path d="M2.188 2.625v-.437H1.75v.438zm-.438.438v-.438h-.437v.438zm.438.438v-.438H1.75v.438z" fill="#fff"/>
	<path d="M2.625 4.375v-.437h-.437v.438zm-.438.438v-.438H1.75v.438z" fill="#707070"/>
	<path d="M2.188 1.75H1.75v.438h.438zm.438.438h-.438v.438h.438zm.438.438h-.439v.438h.438zm.875.438h-.876v.875h.875zm.438.875h-.439v.438h.438zm.438.438h-.438v.438h.438zM1.75 2.188h-.437v.438h.438zm2.188 4.813v-.438h-.875v.438zm-.875-1.313h-.438v.875h.438zM.438 3.938v.438h.875v-.438zm2.188 1.313h-.438v.438h.438zm-.438-.438H1.75v.438h.438zm-.438-.438h-.437v.438h.438zm2.188-3.063h.438V.438h-.438zm2.625 2.625h.438v-.874h-.438zm0-.875v-.437h-.875v.438zM4.375 1.749h.438v-.436h-.438zm.438.438h.438V1.75h-.438zm-.438.438h.438v-.437h-.438zm-.437.438h.438v-.438h-.438zM2.625 4.376h.438v-.438h-.438zm-.438.438h.438v-.438h-.437z" fill="#000"/>
	<path d="M4.813 2.188h.438V1.75h-.438zm.438.438h.438v-.438h-.438zM3.938 6.564h.438v-.875h-.438zm1.75-2.625v.438h.875v-.439zm-1.313 1.75h.438v-.438h-.438zm.438-.438h.438v-.438h-.438zm.438-.438h.438v-.438h-.438z" fill="#000"/>
`});function Wt(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Lr}
	</svg>`}var Lr,ga=w(()=>{O();W();Lr=E`
	<path d="M6.125 3.063v-.438h-.438v.438H4.374v-.438h-.436V1.313h.438V.875H3.063v1.75h-.438v.438H.438v.875h.438v.438h.438v-.438h1.313v.438h.438v1.313h-.44v.438h.438v.438h.875v-.438h.438v-.438h-.438V4.376h.438v-.438h1.313v.438h.438v-.438h.438v-.875z" fill="#ffb84b"/>
	<path d="M3.938 0h-.875v.438h.875zM2.625.875H1.313v.438h1.313zm-1.312.438H.875v1.313h.438zm1.75 0h-.438v1.313h.438zm1.313 0h-.438v1.313h.438zm1.75 0h-.438v1.313h.438zM5.688.875H4.375v.438h1.313zm-3.063 1.75H1.313v.438h1.313zm3.063 0H4.375v.438h1.313zM3.063.438h-.438v.438h.438z" fill="#000"/>
	<path d="M2.625 1.313h-.437v.438h.438zm-.437.437H1.75v.438h.438zm3.5-.438H5.25v.438h.438zm-.438.438h-.438v.438h.438zm.438 2.625H5.25v.438h.438zm-.438.438h-.438v.438h.438zm-2.625-.438h-.437v.438h.438zm-.438.438H1.75v.438h.438z" fill="#57595f"/>
	<path d="M4.375.438h-.437v.438h.438zM.438 3.063H0v.875h.438z" fill="#000"/>
	<path d="M2.188 1.75v.438h-.875v.438h1.313V1.75zm3.063 0v.438h-.875v.438h1.313V1.75zM2.188 4.813v.438h-.875v.438h1.313v-.875zm3.063 0v.438h-.875v.438h1.313v-.875z" fill="#35363a"/>
	<path d="M.875 3.938H.438v.438h.438zm0-1.313H.438v.438h.438zM7 3.063h-.438v.875H7z" fill="#000"/>
	<path d="M6.563 3.063h-.438v.875h.438z" fill="#ba3500"/>
	<path d="M.875 3.063H.438v.875h.438z" fill="#f0f0f0"/>
	<path d="M6.563 2.625h-.438v.438h.438zm0 1.313h-.438v.438h.438z" fill="#000"/>
	<path d="M6.125 3.938h-.438v.438h.438zm-3.062 0h-.438v.438h.438zm-1.75 0H.875v.438h.438zm3.063 0h-.438v.438h.438z" fill="#ba3500"/>
	<path d="M3.938 6.563h-.875v.438h.875zm-1.313-.875H1.313v.438h1.313zM1.312 4.375H.875v1.313h.438zm1.75 0h-.437v1.313h.438zm1.313 0h-.437v1.313h.438zm1.75 0h-.438v1.313h.438zm-.438 1.313H4.374v.438h1.313zm-3.062-1.75H1.313v.438h1.313zm3.063 0H4.375v.438h1.313z" fill="#000"/>
	<path d="M2.625 3.5H1.313v.438h1.313zm3.063 0H4.375v.438h1.313z" fill="#ba3500"/>
	<path d="M3.063 6.125h-.438v.438h.438zm1.313 0h-.438v.438h.438z" fill="#000"/>
	<path d="M3.938 6.125h-.875v.438h.875z" fill="#ba3500"/>
	<path d="M3.938.438h-.875v.438h.875zm-.875.437h-.438v.438h.438V.438Z" fill="#f0f0f0"/>
	<path d="M4.375 5.688h-.437v.438h.438z" fill="#ba3500"/>
	<path d="M2.188 1.313h-.875v.875h.438V1.75h.438zm3.063 0h-.875v.875h.438V1.75h.438zM2.188 4.376h-.875v.875h.438v-.438h.438zm3.063 0h-.875v.875h.438v-.438h.438z" fill="#d8d8d8"/>
	<path d="M3.938 2.188V1.75H3.5V.875h-.437v1.313zm0 .438H3.5v.438h-.437v.438h-.438v.438h.438v.875h.438v1.313h.438v-1.75H3.5V3.5h.875v-.437h-.437zm2.188.438h-.438v.438h.438zm-3.063-.439h-.438v.438h.438zm-1.75.438H.875v.438h.438zm.875 0H1.75v.438h.438z" fill="#fd6214"/>
`});function Gt(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Rr}
	</svg>`}var Rr,za=w(()=>{O();W();Rr=E`
	<path d="M5.688 2.625V1.75H5.25V.438h-.438v.438h-.438v.438h-.436v.438H3.5v.438H1.313v.438H.875v.875H.438v1.75h.438v.438h.438v.438h.438v.438h3.5v-.438h.438v-.438h.438V2.625z" fill="#fd6214"/>
	<path d="M0 3.5v1.75h.438V3.5zm6.563.438v1.313h.438V3.938zm-.438-1.313v1.313h.438V2.625zm-.438-.875v.875h.438V1.75z" fill="#000"/>
	<path d="M6.125 3.938v1.313h.438V3.938zm-.438-1.313v1.313h.438V2.625zm-.438-.875v.875h.438V1.75z" fill="#ba3500"/>
	<path d="M.438 2.625V3.5h.438v-.875zm2.625-1.313h-.438v.438h.438zm.875 0H3.5v.438h.438zM3.5 1.75h-.437v.438h.438zm-2.625.438v.438h.438v-.438zM.437 5.251v.438h.438v-.438zm.438.438v.438h.438v-.438zm.438.438v.438h.438v-.438zm4.813-.875v.438h.438v-.438zm-.438.438v.438h.438V5.69zm-.438.438v.438h.438v-.438zm-3.5.438v.438h3.5v-.438zM1.313 1.75v.438h.438V1.75zm.438-.438v.438h.438v-.437zm.438-.438v.438h.438V.875zm1.75 0v.438h.438V.875zm.438-.438v.438h.438V.438zm.438-.438v.438h.438V0z" fill="#000"/>
	<path d="M4.813.438v.438h.438V.438zm-.438.438v.438h.438V.875zm-.437.437v.438h.438v-.438zM3.5 1.75v.438h.438V1.75zm-1.312-.437v.438h.438v-.438zm-.438.437v.438h.438V1.75zm.875 0v.438h.438V1.75z" fill="#f0f0f0"/>
	<path d="M2.188 1.75v.438h.438V1.75z" fill="#fd6214"/>
	<path opacity=".5" d="M4.813 1.75v.438h.438V1.75zm.438 2.188V3.5h-.438v-.875h-.438v.438h-.437v.438H2.625v-.438h-.437v.875h-.875v.875h.438v.875h.438v.438h2.625v-.438h.438v-.875h.438v-.875z" fill="#fff"/>
	<path d="M1.313 2.188v.438h.438v-.438zm-.438.437V3.5h.438v-.875zm.875.875v.438h.438V3.5z" fill="#f0f0f0"/>
	<path d="M.875 5.25v.438h.438V5.25zm.438.438v.438h.438v-.438zm3.938 0v.438h.438v-.438zm.438-.438v.438h.438V5.25zm-3.938.875v.438h3.5v-.438z" fill="#ba3500"/>
	<path d="M.438 3.5v.875h.438V3.5zm4.375.875h-.438v-.437h-1.75v.438h-.437v.875h.438v.438h1.75v-.438h.438z" fill="#f0f0f0"/>
	<path d="M5.25.438v1.313h.438V.438z" fill="#000"/>
`});function Kt(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Ur}
	</svg>`}var Ur,_a=w(()=>{O();W();Ur=E`
	<path d="M6.563.875h-.438V.438H4.812v1.313h-.438V.875h-.436V.438h-.875v.438h-.438v.875h-.437V.438H.875v.438H.438v1.75h.438v.438h.875v.438h.438v.875h.438v.438h.438v.438h.875v-.438h.438v-.438h.438V3.5h.438v-.437h.875v-.438h.438z" fill="#ff7fc0"/>
	<path d="M3.938 0h-.875v.438h.875zm-1.75 0H.875v.438h1.313zm3.938 0H4.813v.438h1.313zm.438.438h-.438v.438h.438zm.438.438h-.438v1.75h.438zM4.377.438h-.439v.438h.438v.875h.438V.438zm-2.189 0v1.313h.438V.875h.438V.438zm-1.313 0H.438v.438h.438zM.438.875H0v1.75h.438zm.438 1.75H.438v.438h.438zm.875.438H.875v.438h.875zm4.375 0h-.875v.438h.875zm.438-.438h-.438v.438h.438zM5.251 3.938V3.5h-.438v.875h1.75v-.437zM1.75 3.5v.438H.438v.438h1.75V3.5zm-1.313.875H0v1.75h.438zm.438 1.75H.438v.438h.438zm5.25.438H.875v.438h5.25zm.438-.438h-.438v.438h.438zm.438-1.75h-.438v1.75h.438zm-4.376 0h-.437v.438h.438zm.438.438h-.438v.438h.438zm1.313 0h-.438v.438h.438zm.438-.438h-.438v.438h.438zm-.875.875h-.876v.438h.875z" fill="#000"/>
	<path d="M4.813 4.375v.438h-.438v.438h-.437v.438h-.875v-.438h-.438v-.438h-.437v-.438H.438v1.75h.438v.438h5.25v-.438h.438v-1.75z" fill="#6be473"/>
	<path d="M1.75 5.25h-.437v.438h.438zm-.438-.438H.875v.438h.438zM5.25 6.125v-.438h-.438v.438h-.874v-.438h-.875v.438h-.875v-.438H1.75v.438H.875v.438h5.25v-.438zm.438-.875H5.25v.438h.438zm.438-.438h-.438v.438h.438zm.438.875h-.438v.438h.438z" fill="#008456"/>
	<path d="M2.625 3.938h-.437v.438h.438zm.438.438h-.438v.438h.438zm1.313 0h-.438v.438h.438zm.438-.438h-.438v.438h.438zm.438-.875h-.438v.438h.438zm.875-.438h-.438v.438h.438zm.438-.875h-.438v.875h.438zM3.94 4.813h-.877v.438h.875z" fill="#ff1c90"/>
	<path d="M4.375 5.25h-.437v.438h.438zm.438-.438h-.438v.438h.438zm.438-.438h-.438v.438h.438zm-4.813.001v.875h.438v-.438h1.313v-.438zm.438-3.5H.438v.875h.438zM2.189.437H.875v.438h1.313zm.875.438h-.439v.438h.438zm.875-.438h-.876v.438h.875zm1.313 0h-.438v.875h.438V.875h.875V.438z" fill="#f0f0f0"/>
`});function Jt(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Fr}
	</svg>`}var Fr,ba=w(()=>{O();W();Fr=E`
	<path d="M3.063.875v.438h.875V.875zm.875-.438v.438h1.75V.438zm1.75.438v.438h.438V.875zm.438.438v.438h.438v-.438zm.438.438v2.188h.438V1.75zm-.438 2.188v.875h.438v-.876zm-.438.875v.438h.438v-.438zm-.875.438v.438h.875v-.438zm-.875.438v.438h.875V5.69zm-.875.438v.438h.875v-.438z" fill="#000"/>
	<path d="M6.563 1.75h-.438v-.437h-.438V.875H3.938v.438h-.875V.875h-1.75v.438H.875v.438H.438v2.188h.438v.875h.438v.438h.875v.438h.875v.438h.875V5.69h.875v-.438h.875v-.438h.438v-.876h.438z" fill="#ff7fc0"/>
	<path d="M6.563 1.75h-.438v2.188h.438zm-.438 2.188h-.438v.875h.438zm-4.812 0H.875v.875h.438zm4.375.875h-.875v.438h.875zm-.875.438h-.875v.438h.875zm-.875.438h-.875v.438h.875zm-.875-.438h-.875v.438h.875zm-.875-.438h-.875v.438h.875z" fill="#ff1b90"/>
	<path d="M1.313.438v.438h1.75V.438zM.875.875v.438h.438V.875zm-.437.438v.438h.438v-.438zM0 1.75v2.188h.438V1.75zm.438 2.188v.875h.438v-.875zm.438.875v.438h.438v-.438zm.438.438v.438h.875v-.438zm.875.438v.438h.875v-.438z" fill="#000"/>
	<path d="M1.313.875v.438h1.75V.875zm2.625 0v.438h1.75V.875zm-.875.438v.438h.875v-.438z" fill="#f0f0f0"/>
	<path opacity=".6" d="M4.813 2.625v-.437h-.875v.438h-.875v-.438h-.875v.438H1.75v1.313h.438v.438h.879v.438h.875v-.438h.871v-.439h.438V2.625z" fill="#fff"/>
	<path d="M5.688 1.313v.438h.438v-.438zm-4.813 0v.438h.438v-.438zm.438.438v.438h.438V1.75zM.438 1.75v.875h.438V1.75z" fill="#f0f0f0"/>
`});function Qt(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${qr}
	</svg>`}var qr,ya=w(()=>{O();W();qr=E`
	<path d="M6.125 2.625v.438H4.812v-.438h-.438v-.437h-.436V.875h.438V.438H.438v.438h.875v.438h.438v.438h.875v.875h-.438v.438H1.75v.875h-.437v.875H.875v.875H.438v.875h1.313v-.438h.875v-.438h.438v-.438h.438v-.438h.875v-.438h.438v-.437h.438v.438h.438v.438h.438v.438h.438V2.625z" fill="#ffe361"/>
	<path d="M6.125 0H4.812v.438h1.313zM1.75 6.563H.438v.438h1.313zm.875-.438H1.75v.438h.875zM1.313.875H.438v.438h.875zm.438.875v.438h.438v.438h.438V1.75zm0 1.313h-.438v.875h.438zm-.438.875H.875v.875h.438zm-.438.875H.438v.875h.438zm-.438.875H0v.875h.438zm3.938-.875H3.5v.438h.875zm0-4.813H.438v.438h3.938z" fill="#000"/>
	<path d="M4.375.438H.438v.438h3.938z" fill="#f0f0f0"/>
	<path d="M6.125 2.625H4.812v.438h1.313zM4.812.437h-.438v.438h.438z" fill="#000"/>
	<path d="M4.813.875h-.438v.875h.438zM6.126.437H4.813v.438h1.313z" fill="#f0f0f0"/>
	<path d="M6.125 2.188H4.812v.438h1.313z" fill="#ba3500"/>
	<path d="M.438.438H0v.438h.438zm1.313.875h-.438v.438h.438zm.438 1.313H1.75v.438h.438zM6.564.438h-.438v.438h.438zm.438.438h-.438v1.313h.438z" fill="#000"/>
	<path d="M6.563.875h-.438v1.313h.438z" fill="#ba3500"/>
	<path d="M7 2.625h-.438V5.25H7z" fill="#000"/>
	<path d="M6.563 2.625h-.438V5.25h.438z" fill="#ffb84b"/>
	<path d="M6.563 2.188h-.438v.438h.438zM4.375.875h-.437v1.313h.438zm.438 1.313h-.438v.438h.438z" fill="#000"/>
	<path d="M4.813 1.75h-.438v.438h.438z" fill="#ba3500"/>
	<path d="M3.063 5.688h-.438v.438h.438z" fill="#000"/>
	<path d="M4.375 3.063v.438h-.437v.438H3.5v.438h-.437v.438h-.438v.438h-.437v.438H1.75v.438h.875v-.438h.438v-.438h.438v-.438h.875v-.438h.438V3.063zM1.75 6.126h-.437v.438h.438z" fill="#ffb84b"/>
	<path d="M3.5 5.25h-.437v.438h.438z" fill="#000"/>
	<path d="M2.188 3.063H1.75v.438h.438zm.438-.438h-.438v.438h.438z" fill="#f0f0f0"/>
	<path d="M3.063 2.188h-.438v.438h.438zm.438-.438h-.438v.438h.438z" fill="#ffb84b"/>
	<path d="M2.625 3.5h-.437v.438h.438zm-.875.438h-.437v.438h.438zm-.438.875H.875v.438h.438zm-.438.875H.438v.438h.438z" fill="#f0f0f0"/>
	<path d="M4.813 4.375h-.438v.438h.438zm.438-.438h-.438v.438h.438zm.438.438h-.438v.438h.438zm.438.438h-.438v.438h.438zm.438.438h-.438v.438h.438z" fill="#000"/>
	<path d="M6.125.875H4.812v1.313h1.313z" fill="#fd6214"/>
`});function Xt(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Zr}
	</svg>`}var Zr,Ma=w(()=>{O();W();Zr=E`
	<path d="M6.563 0.876V0.437H3.937v0.437H1.313v2.187H0.437v2.187h5.25v-2.186h0.876z" fill="#bcef42"/>
	<path d="M4.813 5.687v-0.437H2.187v0.437z" fill="#7fb134"/>
	<path d="M6.563 0.876V0.437H3.937v0.437zm-2.626 0.437V0.876H2.187v0.437z" fill="#fff"/>
	<path d="M1.313 4.813v0.437h0.876v-0.437zm4.376 -0.437h-0.437v0.876h0.437zm0.876 -2.187h-0.437v0.876h0.437zm-0.437 0.876h-0.437v1.313h0.437z" fill="#7fb134"/>
	<path d="M7 0.437h-0.437v2.626H7z" fill="#000"/>
	<path d="M1.313 3.937H0.876v2.626h0.437z" fill="#4a8359"/>
	<path d="M6.563 0H3.937v0.437h2.626zM4.813 5.687H2.187v0.437h2.626zM3.937 0.437H2.187v0.437h1.75zM2.187 0.876h-0.874v0.437h0.876zm-0.874 0.437H0.876v0.876h0.437zM0.437 3.063H0v2.187h0.437v1.313h0.437V5.25H0.437zh0.437v-0.876H0.437zm5.25 2.187h-0.876v0.437h0.876zm0.437 -0.876h-0.437v0.876h0.437zh0.437V3.063h-0.437zM1.75 5.687h0.437v-0.437h-0.874v1.313h0.437zm-0.437 0.876H0.876V7h0.437z" fill="#000"/>
	<path d="M0.876 3.063h0.437v-0.876H0.876zm-0.438 0.874h0.437v-0.874H0.437zm1.75 -2.626h-0.874v0.876h0.437v-0.437h0.437z" fill="#fff"/>
	<path d="M1.75 3.5h0.876v-0.437h-0.876zm0.876 -0.437h0.876v-0.437h-0.876zm0.876 -0.437h0.876v-0.438H3.5zm0.876 -0.437h0.437v-0.438h-0.437zm0.437 -0.437h0.437v-0.438H4.814z" fill="#4a8359"/>
	<path d="M2.187 1.75v0.437h0.437v-0.437z" fill="#fff"/>
	<path d="M1.313 3.5v0.437h0.437V3.5z" fill="#4a8359"/>
`});function Yt(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Wr}
	</svg>`}var Wr,wa=w(()=>{O();W();Wr=E`
	<path d="M2.188 2.625H1.75v.438H.875v.875H3.5v.875h-.437v.438h-.438v.438h-.437v.438H1.75v.438h.875v-.438h.438v-.438h.438v-.438h.438v-.438h.875v-.438h.438v-.437h.875v-.875H3.063v-.438h.438v-.437h.438V1.75h.438v-.437H3.5v.438h-.437v.438h-.875z" fill="#ffe361"/>
	<path d="M.438 3.063H0v.875h.438z" fill="#000"/>
	<path d="M.875 3.063H.438v.875h.438z" fill="#f0f0f0"/>
	<path d="M7 3.063h-.438v.875H7zm-5.687-.438H.438v.438h.875zm1.313-.875H1.75v.438h.875zm-.876.438h-.437v.438h.438z" fill="#000"/>
	<path d="M1.75 2.625h-.437v.438h.438zm.438-.438H1.75v.438h.438zm.438.438h-.438v.438h.438zm.438-.875h-.439v.438h.438zm.438-.438h-.439v.438h.438zm0 3.063h-.439v.438h.438zm-.438.438h-.439v.438h.438zm-.438.438h-.438v.438h.438zm-.438.438H1.75v.438h.438zm-.438.438h-.437v.438h.438z" fill="#f0f0f0"/>
	<path d="M5.25.875h-.438v.438h.438zm.438 3.063H5.25v.438h.438zm-.438.438h-.438v.438h.438zm-.875.438h-.437v.438h.438zm-.438.438H3.5v.438h.438zm2.625-1.75h-.438v.438h.438z" fill="#ffb84b"/>
	<path d="M6.563 3.063h-.438v.438h.438z" fill="#f0f0f0"/>
	<path d="M4.813 1.313h-.438v.438h.438zm-.438.438h-.437v.438h.438zm-.437.437H3.5v.438h.438zm-.438.437h-.437v.438h.438z" fill="#ffb84b"/>
	<path d="M4.375.875h-.437v.438h.438z" fill="#f0f0f0"/>
	<path d="M3.938.875h-.875v.438h.875zm-.875.438h-.438v.438h.438zM5.688 0H4.375v.438h1.313z" fill="#000"/>
	<path d="M5.688.438H4.375v.438h1.313z" fill="#f0f0f0"/>
	<path d="M6.563 2.625H3.5v.438h3.063zM4.375.437h-.437v.438h.438zm1.75 0h-.438v.438h.438zm-.438.438h-.438v.438h.438zm-.438.438h-.438v.438h.438zm-.438.438h-.438v.438h.438zm-.438.438h-.435v.438h.438zm2.188 1.75h-.875v.438h.875zm-1.313.875h-.875v.438h.875zm.438-.438h-.438v.438h.438zm-1.75 1.313h-.873v.438h.875zm.438-.438h-.436v.438h.438zm-1.75 1.313H1.313v.438h1.313zm.875-2.625H.438v.438h3.063zm-.438 2.188h-.436v.438h.438zm-1.75 0H.875v.438h.438zm.438-.438h-.436v.438h.438zm.438-.438H1.75v.438h.438zm.438-.438h-.437v.438h.438zm.438-.438h-.438v.438h.438z" fill="#000"/>
	<path d="M4.813.875h-.438v.438h.438z" fill="#ffe361"/>
`});function ei(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Gr}
	</svg>`}var Gr,xa=w(()=>{O();W();Gr=E`
	<path d="M6.125 1.75v-.437H5.25V.438H3.5v.438h-.437v.438h-.438V.875H1.313v.438H.875v1.75H.438v1.313h.438v-.438h.438V3.5h2.188v-.875h.438v-.437h2.188v.438h.438V1.75z" fill="#b79cf8"/>
	<path d="M3.938 2.625v.438H3.5v.875h.438v.875h.875v.438h1.313v-.438h.438V2.625z" fill="#9af4dc"/>
	<path d="M1.75 4.375v1.75h.438v.438h1.313v-.438h.438v-1.75z" fill="#9af4dc"/>
	<path d="M3.5 6.125H2.188v.438h1.313zm2.625-1.313H4.812v.438h1.313zm.438-.438h-.438v.438h.438zM3.938 5.687H3.5v.438h.438z" fill="#6c9ca6"/>
	<path d="M3.938 3.063H3.5v.438h.438zm.875.438h-.438v.438h.438zm1.313-.875H3.938v.438h2.188z" fill="#f0f0f0"/>
	<path d="M3.5.438h-.437v.438h.438zm3.063.875h-.438v.438h.438zm-.438 2.188h-.438v.875h.438zm-2.187-.876H3.5v.438h.438z" fill="#000"/>
	<path d="M3.938 2.188H3.5v.438h.438z" fill="#816bee"/>
	<path d="M1.313 3.938H.875v.438h.438zm1.75 1.75h-.438v.438h.438zm-.438-.438h-.437v.438h.438z" fill="#000"/>
	<path d="M2.625 5.25h-.437v.438h.438zm3.063-.875H5.25v.438h.438zm-.438-.438h-.438v.438h.438zM2.187 6.125H1.75v.438h.438zm1.75 0H3.5v.438h.438zM.874 4.375H.438v.438h.438zm.438 1.75H.875v.438h.438zm-.438.438H.438v.438h.438zM6.563 1.75v.875h-.438v.438h.438v1.75h.438V1.75zM5.688.875V.438H5.25v.875h.875V.875zM2.625.438H1.313v.438h1.313zm3.063 2.625H4.375v.438h1.313zM3.063 4.376H1.75v.438h1.313zm.438 2.188H2.188v.438h1.313zM3.063.875h-.438v.438h.438zm-1.75 0H.875v.438h.438z" fill="#000"/>
	<path d="M2.625.875H1.313v.438h1.313zm.438.438h-.438v.438h.438zm-1.313.875h-.437v.438h.438zm-.875.875H.438v.438h.438zm.438-1.75H.875v.438h.438z" fill="#f0f0f0"/>
	<path d="M6.125 5.25H4.812v.438h1.313zm-1.75-.438V3.5h-.437v.438H3.5v.438h.438v1.75h.438v-.875h.438v-.438zm2.188 0h-.438v.438h.438zM.875 1.313H.438v1.75h.438zm-.437 1.75H0v1.313h.438zm1.313 1.75h-.438v1.313h.438zm1.75 0h-.438v.875h.438zm-3.063 0H0v1.75h.438zM5.25 0H3.5v.438h1.75z" fill="#000"/>
	<path d="M3.5.875h-.437v.438h.438zM5.25.437H3.5v.438h1.75z" fill="#f0f0f0"/>
	<path d="M6.125 2.188H3.938v.438h2.188z" fill="#000"/>
	<path d="M6.125 1.75v-.437h-.438v.438H3.938v.438h2.188v.438h.438V1.75z" fill="#816bee"/>
	<path d="M2.188 4.813H1.75v.438h.438z" fill="#f0f0f0"/>
	<path d="M3.063 2.625v.438h-1.75v.438h2.188v-.876z" fill="#816bee"/>
	<path d="M3.063 3.063v.438h-1.75v.438h2.188v-.876z" fill="#000"/>
	<path d="M1.313 3.5H.875v.438h.438zm-.438.438H.438v.438h.438z" fill="#816bee"/>
	<path d="M1.313 3.938v.438H.875v.438H.438v1.75h.438v-.438h.438V4.813h.438v-.438h1.75v-.437z" fill="#9af4dc"/>
	<path d="M1.313 4.375H.875v.438h.438zm-.438.438H.438v.438h.438z" fill="#f0f0f0"/>
	<path d="M1.313 5.688H.875v.438h.438zm-.438.438H.438v.438h.438z" fill="#6c9ca6"/>
	<path d="M3.5 3.938H1.313v.438h2.188z" fill="#f0f0f0"/>
`});function ti(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Kr}
	</svg>`}var Kr,Ha=w(()=>{O();W();Kr=E`
	<path d="M6.125 2.188v-.875h-.438V.875h-.438V.438h-.875v.438h.438v.438h.438v1.75h-.438v.438h-.438v.438H2.625V3.5h-.437v-.437H1.75v-1.75h.438V.875h.438V.438H1.75v.438h-.437v.438H.875v.875H.438v2.625h.438v.875h.438v.438h.875v.438h2.625v-.438h.875v-.438h.438v-.875h.438V2.188z" fill="#b79cf8"/>
	<path d="M2.625 0H1.75v.438h.875zM.875 1.313H.438v.875h.438zm1.313 0H1.75v1.75h.438zm2.188 2.188H2.625v.438h1.75z" fill="#000"/>
	<path d="M4.375 3.938h-1.75v.438h1.75z" fill="#f0f0f0"/>
	<path d="M.438 2.188H0v2.625h.438zm4.375 4.375H2.188v.438h2.625z" fill="#000"/>
	<path d="M.875 4.375H.438v.438h.438zm4.813.875h-.875v.438H2.188V5.25h-.875v-.438H.875v.875h.438v.438h.875v.438h2.625v-.438h.875v-.438h.438v-.875h-.438zm.875-.875h-.438v.438h.438z" fill="#816bee"/>
	<path d="M1.75.438h-.437v.438h.438zm-.437.437H.875v.438h.438z" fill="#000"/>
	<path d="M2.625.438H1.75v.438h.875zM1.75.875h-.437v.438h.438zm-.437.438H.875v.438h.438zm-.438.875H.438v.438h.438zm.438.438H.875v.438h.438zm.875.438H1.75v.438h.438zm.438.438h-.438v.438h.438zm2.625-.438h-.438v.438h.438zM4.813.439h-.438v.438h.438zm0 3.063h-.438v.438h.438z" fill="#f0f0f0"/>
	<path d="M3.063.438h-.438v.438h.438zm-.438.437h-.437v.438h.438zm0 2.188h-.437v.438h.438zm-1.75 1.75H.438v.875h.438zm.438.875H.875v.438h.438zM5.251 0h-.875v.438h.875zm.438 6.125h-.875v.438h.875zm-3.5 0h-.876v.438h.875zm4.374-4.812h-.438v.875h.438zm-1.313 0h-.438v1.75h.438zM7 2.188h-.438v2.625H7zM5.687.438h-.438v.438h.438zm.438.438h-.438v.438h.438zM4.375.438h-.437v.438h.438zm.438.438h-.438v.438h.438zm0 2.188h-.438v.438h.438zm1.75 1.75h-.438v.875h.438zm-.438.875h-.438v.438h.438z" fill="#000"/>
	<path d="M2.188.875H1.75v.438h.438z" fill="#b79cf8"/>
`});function ii(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Jr}
	</svg>`}var Jr,$a=w(()=>{O();W();Jr=E`
	<path d="M4.813 5.25v-.875h-.438v-.437h-1.75v.438h-.437v.875H1.75v1.313h3.5V5.251z" fill="#ffe361"/>
	<path d="M6.125 1.313V.875H5.25V.438h-3.5v.438H.875v.438H.438v2.625h.438v.438h.875v-.439h3.5v.438h.875v-.438h.438V1.313z" fill="#ff2c52"/>
	<path d="M5.25 0h-3.5v.438h3.5z" fill="#000"/>
	<path d="M5.25.438h-3.5v.438h3.5zm-3.5.437H.875v.438h.875zm4.375 0H5.25v.438h.875z" fill="#fff"/>
	<path d="M5.25 6.563h-3.5v.438h3.5zM.438 1.313H0v2.625h.438zM1.751.438H.875v.438h.875z" fill="#000"/>
	<path d="M.875 3.063v-1.75H.438v2.625h.875v-.875z" fill="#fff"/>
	<path d="M6.563 1.313h-.438v2.625h.438z" fill="#be0351"/>
	<path d="M6.563 2.625h-.875V3.5h.875zM5.25.875h-.875v.875h.875z" fill="#fff"/>
	<path opacity=".5" d="M6.563 2.625h-.438V3.5h.438z" fill="#be0351"/>
	<path d="M4.375 3.063h-1.75v.438h1.75zm.875.438h-.875v.438h.875zM2.625 3.5H1.75v.438h.875z" fill="#be0351"/>
	<path d="M2.625 4.375h-.437v.875h.438z" fill="#fff"/>
	<path d="M4.813 4.375h-.438v.875h.438zm0 .875v.875H1.75v.438h3.5V5.25z" fill="#ffb84b"/>
	<path d="M2.188 5.25H1.75v.875h.438z" fill="#fff"/>
	<path d="M1.75 3.938H.875v.438h.875zm4.375 0H5.25v.438h.875z" fill="#be0351"/>
	<path d="M3.5 2.625h-.875V3.5H3.5z" fill="#fff"/>
	<path opacity=".5" d="M3.5 3.063h-.875v.438H3.5z" fill="#be0351"/>
	<path d="M4.375 3.5h-1.75v.438h1.75z" fill="#000"/>
	<path d="M4.375 3.938h-1.75v.438h1.75z" fill="#fff"/>
	<path d="M.875.875H.438v.438h.438z" fill="#000"/>
	<path d="M2.188 1.313H1.75v.438h.438z" fill="#fff"/>
	<path d="M1.75 5.25h-.437v1.313h.438zm.438-.875h.438v-.437H1.75v.438H.875v.438h.875v.438h.438zM.875 3.938H.438v.438h.438zM7 1.313h-.438v2.625H7zM6.125.438H5.25v.438h.875zm.438.438h-.438v.438h.438zm-.438 3.5H5.25v-.438h-.875v.438h.438v.875h.438v1.313h.438V5.251h-.438v-.438h.875zh.438v-.438h-.438z" fill="#000"/>
`});function si(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Qr}
	</svg>`}var Qr,ka=w(()=>{O();W();Qr=E`
	<path d="M6.125 3.063v-.438H5.25v-.437h-.438V1.75h-.438V.875h-.436V.438h-.875v.438h-.438v.875h-.437v.438H1.75v.438H.875v.438H.438v.875h.438v.438h.875v.438h.438v.438h.438v.875h.438v.438h.875v-.438h.438v-.875h.438v-.438h.438v-.438h.875v-.44h.438v-.875z" fill="#47baff"/>
	<path d="M4.813 3.063h-.875v-.438h-.875v.438h-.875v.875h.875v.438h.875v-.438h.875z" fill="#b5e3ff"/>
	<path d="M1.313 0H.438v.438h.875zm.875.438h-.875v.438h.875zm-.438 1.75H.875v.438h.875zM.438.438H0v.875h.438z" fill="#000"/>
	<path d="M1.313.438H.438v.875h.438V.875h.438z" fill="#f0f0f0"/>
	<path d="M.438 3.063H0v.875h.438zM7.001.438h-.438v.875h.438zm-.438.875h-.438v.875h.438zm-5.688 0H.438v.875h.438zm1.75-.438h-.437v.875h.438zm2.188 0h-.438v.875h.438zM3.063.438h-.438v.438h.438z" fill="#000"/>
	<path d="M3.063.875h-.438v.438h.438zm.438.438h-.438v.438h.438zm-1.313.875H1.75v.438h.438zm-.875.437H.875v.438h.438zm-.438.438H.438v.438h.438z" fill="#f0f0f0"/>
	<path d="M1.313 6.563v-.438h.875V5.25H1.75v-.438H.875v.875H.438v.875z" fill="#b79cf8"/>
	<path d="M.875 5.688H.438v.438h.438z" fill="#f0f0f0"/>
	<path d="M2.188 1.75H1.75v.438h.438z" fill="#000"/>
	<path d="M2.188.875H.875v1.313h.875V1.75h.438zm3.938 1.313V.875H4.813v.875h.438v.438z" fill="#b79cf8"/>
	<path d="M2.188.875H1.75v.875h.438zm-.438.875h-.437v.438h.438zm4.375-.438h-.438v.875h.438zm.438-.438h-.438v.438h.438z" fill="#816bee"/>
	<path d="M5.688 6.563v-.438h-.875V5.25h.438v-.438h.875v.875h.438v.875z" fill="#b79cf8"/>
	<path d="M6.563 5.688h-.438v.438h.438zm-.438-.875h-.438v.438h.438z" fill="#816bee"/>
	<path d="M.875 2.625H.438v.438h.438zM7 3.063h-.438v.875H7zm-.438-.438h-.438v.438h.438zM4.374.437h-.436v.438h.438zm.875 1.313h-.438v.438h.438zM3.938 0h-.875v.438h.875z" fill="#000"/>
	<path d="M3.938.438h-.875v.438h.875zm0 2.625h-.875v.875h.875zM6.563.438h-.875v.438h.875zm-.875.438h-.875v.438h.875z" fill="#f0f0f0"/>
	<path d="M3.938 2.188h-.875v.438h.875zm0 2.188h-.875v.438h.875zM6.563.001h-.875v.438h.875zm-.875.438h-.875v.438h.875zm.438 1.75h-.875v.438h.875zM1.313 6.563H.438v.438h.875zm.875-.438h-.875v.438h.875zm-.438-1.75H.875v.438h.875zM.437 5.688H0v.875h.438zm6.563 0h-.438v.875H7zm-.438-.875h-.438v.875h.438zm-5.687 0H.438v.875h.438zm1.75.438h-.437v.875h.438zm2.188 0h-.438v.875h.438zm-1.75.875h-.438v.438h.438zm-.875-1.313H1.75v.438h.438z" fill="#000"/>
	<path d="M2.188 5.25H1.75v.875h.438zm-.438-.438h-.437v.438h.438z" fill="#816bee"/>
	<path d="M.875 3.938H.438v.438h.438zm1.313-.875H1.75v.875h.438zm.875-.438h-.875v.438h.875zm0 1.313h-.875v.438h.875zm2.188-.875h-.438v.875h.438zm-.438-.438h-.875v.438h.875zm0 1.313h-.875v.438h.875zm1.75 0h-.438v.438h.438z" fill="#000"/>
	<path d="M6.563 3.063h-.438v.875h.438zm-.438-.438h-.438v.438h.438zm0 1.313h-.438v.438h.438zm-.875 0h-.438v.438h.438zm-1.313.875h-.874v.438h.875zm.438-.438h-.437v.438h.438zm-1.313 0h-.437v.438h.438zm.875 1.75h-.874v.438h.875zm.438-.438h-.437v.438h.438zm-1.313 0h-.437v.438h.438zm-.874-1.749H1.75v.438h.438zM.875 3.5H.438v.438h.438zm.438.438H.875v.438h.438z" fill="#4282d8"/>
	<path d="M4.375 6.125h-.437v.438h.438zm.875-1.313h-.438v.438h.438zm-1.313 1.75h-.874V7h.875zm2.625 0h-.875V7h.875zm-.875-.438h-.875v.438h.875zm.438-1.75H5.25v.438h.875z" fill="#000"/>
`});function ai(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Xr}
	</svg>`}var Xr,Ta=w(()=>{O();W();Xr=E`
	<path d="M3.938.438h-.875v1.75h.875zm.875 2.625v-.438h-.438v-.437h-1.75v.438h-.437v.438H.438v.875h1.75v.438h.438v.438h.438v1.75h.875v-1.75h.438v-.438h.438v-.439h1.75v-.875z" fill="#bcef42"/>
	<path d="M1.75 0h-.437v.438h.438zm.875 2.188h-.437v.438h.438zm2.188 0h-.438v.438h.438zM5.688 0H5.25v.438h.438zm.438.438h-.438v.438h.438zm.438.438h-.438v.438h.438zm.438.438h-.438v.438h.438zM3.938 0h-.875v.438h.875z" fill="#000"/>
	<path d="M3.938.438h-.875v.438h.875z" fill="#f0f0f0"/>
	<path d="M3.938 1.313h-.875v.438h.875zm0 .438h-.875v.438h.875z" fill="#7fb134"/>
	<path d="M3.938 5.25h-.875v.438h.875z" fill="#f0f0f0"/>
	<path d="M3.938 6.125h-.875v.438h.875zm0-1.313h-.875v.438h.875z" fill="#7fb134"/>
	<path d="M3.938 2.625h-.875v.438h.875zm0 1.313h-.875v.438h.875zm.438-.875h-.438v.875h.438z" fill="#000"/>
	<path d="M5.25 3.063h-.438v.875h.438z" fill="#7fb134"/>
	<path d="M3.063 3.063h-.438v.875h.438z" fill="#000"/>
	<path d="M2.625 2.625h-.437V3.5h.438z" fill="#f0f0f0"/>
	<path d="M1.313.438H.875v.438h.438z" fill="#000"/>
	<path d="M1.313.438v.438H.875v.438H.438v.438h1.313V.438z" fill="#6be473"/>
	<path d="M1.75.438h-.437v.438h.438zm-.437.437H.875v.438h.438z" fill="#f0f0f0"/>
	<path d="M1.75 1.313H.438v.438h1.313z" fill="#008456"/>
	<path d="M5.25 5.25v1.313h.438v-.438h.438v-.438h.438v-.438zm-4.812 0v.438h.438v.438h.438v.438h.438V5.251z" fill="#6be473"/>
	<path d="M1.75 5.25H.438v.438h1.313z" fill="#f0f0f0"/>
	<path d="M1.313 5.688v.875h.438v-.875z" fill="#008456"/>
	<path d="M6.125 1.313V.875h-.438V.438h-.438v1.313h1.313v-.438z" fill="#6be473"/>
	<path d="M5.688.438H5.25v.438h.438zm0 2.625H5.25v.438h.438z" fill="#f0f0f0"/>
	<path d="M6.563 3.5H5.25v.438h1.313z" fill="#7fb134"/>
	<path d="M6.563 1.313H5.25v.438h1.313z" fill="#008456"/>
	<path d="M.875.875H.438v.438h.438zM3.063.437h-.438v1.75h.438zm1.313 0h-.438v1.75h.438zm2.625 2.625h-.438v.875h.438zm-.438-.438h-1.75v.438h1.75zm0 1.313h-1.75v.438h1.75zM.438 3.063H0v.875h.438zm1.75-.438H.438v.438h1.75z" fill="#000"/>
	<path d="M1.75 3.063H.438v.875h.438V3.5h.875z" fill="#f0f0f0"/>
	<path d="M2.188 3.938H.438v.438h1.75zM.438 1.313H0v.438h.438zm1.313 5.25h-.438v.438h.438zm.875-2.188h-.438v.438h.438z" fill="#000"/>
	<path d="M1.75 3.5h-.437v.438h.438zm.438-.438H1.75v.875h.438z" fill="#7fb134"/>
	<path d="M2.188 3.063H1.75v.875h.438z" fill="#3f581a"/>
	<path d="M4.375 4.375h-1.75v.438h1.75z" fill="#7fb134"/>
	<path d="M4.375 2.188h-1.75v.438h1.75z" fill="#f0f0f0"/>
	<path d="M4.813 4.375h-.438v.438h.438z" fill="#000"/>
	<path d="M4.813 3.938h-.438v.438h.438z" fill="#7fb134"/>
	<path d="M5.688 6.563H5.25v.438h.438zm.438-.438h-.438v.438h.438zm.438-.438h-.438v.438h.438zm.438-.438h-.438v.438h.438zM3.939 6.562h-.876V7h.875zm-2.625-.438H.875v.438h.438zm-.438-.438H.438v.438h.438zm2.188-.875h-.439v1.75h.438zm1.313 0h-.439v1.75h.438zM1.75 1.75H.438v.438h1.75V.438H1.75zm3.5 0V.438h-.438v1.75h1.75V1.75z" fill="#000"/>
	<path d="M.438 4.813v.438h1.313v1.313h.438v-1.75zm4.375 0v1.75h.438V5.25h1.313v-.438zM.438 5.25H0v.438h.438z" fill="#000"/>
	<path d="M5.688 6.125H5.25v.438h.438zm.438-.438h-.438v.438h.438zm.438-.438h-.438v.438h.438z" fill="#008456"/>
	<path d="M5.688 5.25H5.25v.438h.438z" fill="#f0f0f0"/>
	<path d="M3.938 3.063h-.875v.875h.875z" fill="#7fb134"/>
	<path d="M3.938 1.75h-.875v.438h.875zm0 3.063h-.875v.438h.875zm1.313-1.75h-.438v.875h.438z" fill="#3f581a"/>
`});function ri(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Yr}
	</svg>`}var Yr,Ea=w(()=>{O();W();Yr=E`
	<path d="M4.813 4.375h.438v-.437h1.313V3.5H5.251v-.437h-.438V1.75h.875v-.437H4.375v.438H3.063v-.438h-.438V.875H1.75v.438h-.437v.438H.875v.438H.438v2.625h.438v.438h.438v.438h.438v-.875h1.75v.438h-.439v.438h.438v.438h.875v-.438h1.313v-.438h-.875z" fill="#54cfff"/>
	<path d="M3.938 4.813H3.5v.438h.438zm1.75.438H5.25v.438h.438zm.875-1.75h-.438v.438h.438zM5.25 3.063h-.438v.438h.438zM1.312 4.376H.875v.438h.438zm.438.438h-.437v.875h.438zm2.625.875H3.063v.438h1.313zm0-1.313h-.437v.438h.438z" fill="#4282D8"/>
	<path d="M3.938 0H3.5v.438h.438zm.438.438h-.438v.438h.438zm-.876 0H1.75v.438H3.5zM1.75.875h-.437v.438h.438zm1.313 0h-.438v.438h.438zm.438.438h-.438v.438h.438zm.875 0h-.438v.438h.438zM5.689.875H4.376v.438h1.313zm.438.438h-.438v.438h.438zm-4.814 0H.875v.438h.438zm-.438.437H.438v.438h.438zm-.437.438H0v2.625h.438zm.875.438H.875v1.75h.438zm.438-.438h-.438v.438h.438zm2.188-.438H1.75v.438h2.188z" fill="#000"/>
	<path d="M3.938 1.75H3.5v.875h.438zm1.75 0h-.875v.438h.875z" fill="#000"/>
	<path d="M5.25 1.75h-.438v1.313h.438zm1.313 1.313H5.25v.438h1.313zm.438.438h-.438v.438h.438zm-2.625-.875h-.438v1.75h.438zm2.188 1.313H5.251v.438h1.313zm-1.313.438h-.438v.875h.438z" fill="#000"/>
	<path d="M5.688 4.813h-.875v.438h.875zm.438.438h-.438v.438h.438zm-.438.438H4.375v.438h1.313zm-1.313.438h-1.75v.438h1.75zM3.5 4.814H1.75v.438H3.5zm-.875 1.75h-.437v.438h.438zm-.438-.438H1.75v.438h.438zm-.438-.438h-.436v.438h.438zm.438-.438H1.75v.438h.438zm.875 0h-.437v.438h.438zm-1.75 0H.875v.438h.438zm-.438-.438H.438v.438h.438zm.875-.438h-.436v.438h.438zm2.188 0H3.5v.438h.438z" fill="#000"/>
	<path d="M3.938 2.625H3.5v-.437H1.75v.438h-.437v1.75h.438v.438h1.75v-.438h.438z" fill="#9af4dc"/>
	<path d="M3.5 4.375H1.75v.438H3.5zm-1.75-.437h-.437v.438h.438zm2.188 0H3.5v.438h.438z" fill="#6c9ca6"/>
	<path d="M1.75 2.625h-.437v.438h.438zm.875.438h-.437v.438h.438zm.875-.875H1.75v.438H3.5z" fill="#f0f0f0"/>
	<path d="M3.5 5.688h-.437v.438h.438z" fill="#000"/>
	<path d="M.875 2.188H.438v.875h.438zm.875-.875h-.437v.438h.438zm.875-.438H1.75v.438h.875zm3.063.438H4.375v.438h1.313zM3.938.438H3.5v.438h-.437v.438h.438v.438h.438v-.439h.438V.875h-.439zM2.625 5.25h-.437v.438H1.75v.438h.438v.438h.438v-.438h.438v-.438h-.439z" fill="#f0f0f0"/>
`});function oi(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${eo}
	</svg>`}var eo,Ca=w(()=>{O();W();eo=E`
	<path d="M5.688 1.313V.875h-.875v.438h-.438V.875h-.437V.438h-.875v.438h-.438v.438h-.437V.875h-.875v.438H.875v1.75h.875v.438h.438v-.438h2.625v.438h.438v-.438h.875v-1.75z" fill="#d1cdd5"/>
	<path d="M6.125 3.938V3.5h-1.75v-.437h-1.75v.438H.875v.438H.438v1.313h.438v.438h1.75v.438h.438v.438h.875v-.438h.438V5.69h1.75v-.438h.438V3.938z" fill="#57595f"/>
	<path d="M3.938 0h-.875v.438h.875zm-.875.438h-.438v.438h.438zm1.313 0h-.438v.438h.438zm1.313 0h-.875v.438h.875zm.438.438h-.438v.438h.438zm-1.313 0h-.438v.438h.438zM2.625.875h-.437v.438h.438zM2.188.438h-.875v.438h.875zm-1.313.875H.438v1.75h.438zm.438-.438H.875v.438h.438zM.875 3.5H.438v.438h.438zm-.437.438H0v1.313h.438zm.438 1.313H.438v.438h.438zm1.75.438H.875v.438h1.75zm.438.438h-.439v.438h.438zm.875.438h-.876v.438h.875zm.438-.438h-.439v.438h.438zm1.75-.438h-1.75v.438h1.75zm.438-.438h-.438v.438h.438zm.438-1.313h-.438v1.313h.438zM6.565 3.5h-.438v.438h.438zm0-2.188h-.438v1.75h.438zM2.188 3.5H1.75v.438h.438zm.438-.438h-.438V3.5h.438zm1.75-.438H2.625v.438h1.75zm.438.438h-.438V3.5h.438zm.438.438h-.438v.438h.438zm.438-.438h-.438V3.5h.875v-.437zm-4.377.001H.875v.438h.875v-.438z" fill="#000"/>
	<path d="M.875 4.813H.438v.438h.438zm.438.438H.875v.438h.438zm1.75.438h-.438v.438h.438zm1.313 0h-.438v.438h.438zm-.438.438h-.875v.438h.875zm2.188-.875h-.438v.438h.438zm.438-1.313h-.438v1.313h.438z" fill="#35363a"/>
	<path d="M1.313 2.625H.875v.438h.438zm.875.438H1.75v.438h.438zm3.063 0h-.438v.438h.438zm-2.626-.438h-.437v.438h.438zm2.188 0h-.438v.438h.438z" fill="#847d8b"/>
	<path d="M5.25 3.063h-.438v.438h.438zm-.875-.875h-1.75v.438h1.75zm1.75-.438h-.438v1.313h.438z" fill="#847d8b"/>
	<path d="M1.75 1.75h-.437v.438h.438zm-.437-.437H.875v.438h.438zm.875-.438h-.875v.438h.875zm.875 0h-.438v.438h.438zm.875-.438h-.875v.438h.875zm.438.438h-.438v.438h.438zm1.313 0h-.875v.438h.875zm.438.438h-.438v.438h.438z" fill="#f0f0f0"/>
	<path d="M.875 3.938H.438v.438h.438zm.438-.438H.875v.438h.438zm1.313 0h-.438v.438h.438zm1.75-.438H2.625V3.5h1.75zm.875.875h-.438v.438h.438zm.875-.438h-.875v.438h.875z" fill="#d8d8d8"/>
`});function hi(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${to}
	</svg>`}var to,Va=w(()=>{O();W();to=E`
	<path d="M6.125 1.75v-.437h-.438V.875h-.438V.438H2.625v.438H1.75v.438h-.437v.438H.875v.875H.438v2.188h.438v.438h.438v.438h.438v.438h.438v.438h2.188v-.438h.875v-.438h.438v-.438h.438v-.875h.438V1.75z" fill="#bcef42"/>
	<path d="M6.563.438h-.875v.438h.875z" fill="#f0f0f0"/>
	<path d="M1.313 5.688H.438v.438h.875z" fill="#bcef42"/>
	<path d="M1.75 6.125H.438v.438h1.313z" fill="#7fb134"/>
	<path d="M6.563 3.5h-.438v.875h.438z" fill="#816bee"/>
	<path d="M5.25.438H2.625v.438H5.25z" fill="#f0f0f0"/>
	<path d="M5.25.875H2.625v.438H5.25z" fill="#b79cf8"/>
	<path d="M4.375 6.125H2.188v.438h2.188z" fill="#816bee"/>
	<path d="M6.563.875h-.438v.438h.438z" fill="#bcef42"/>
	<path d="M2.625 2.188h-.437v.438h.438zM1.313 1.75H.875v.438h.438zm.438-.438h-.438v.438h.438z" fill="#f0f0f0"/>
	<path d="M2.625 1.313h-.437v.438h.438zm3.063 0H5.25v.438h.438z" fill="#b79cf8"/>
	<path d="M2.188.875H1.75v.438h.438zm.875 1.75h-.438v.438h.438zM.875 5.25H.438v.438h.438z" fill="#f0f0f0"/>
	<path d="M6.125 4.813h-.438v.438h.438zm-.438.438h-.438v.438h.438zm-.438.438h-.438v.438h.438z" fill="#816bee"/>
	<path d="M6.563.438v.875h-.438V.875h-.438v.438h.438v.438h.438v2.625h.438V.438zm-5.25.875H.875v.438h.438zm.438-.438h.875V.438H1.75zh-.438v.438h.438zm4.813 3.5h-.438v.875h.438zM.875 1.75H.438v.875h.438zM5.25 6.125h-.875v.438h.875zm.875-.875h-.438v.438h.438zm-4.812 0H.875v.438h.438zm.438.438h-.438v.438h.438zm-.875-.875H.438v.438h.438zm4.813.875h-.438v.438h.438zM.438 2.625H0v3.938h.438z" fill="#000"/>
	<path d="M5.25.875h.438V.438h.875V0H2.625v.438H5.25zM2.188 6.563v-.438H1.75v.438H.438v.438h3.938v-.438z" fill="#000"/>
	<path d="M.875 2.625H.438V3.5h.438z" fill="#f0f0f0"/>
	<path d="M4.375 2.625H3.5v.438h.875zm-.438 1.75h-.874v.438h.875zm.875-1.313h-.438v.875h.438zm-3.5 1.75h.875v-.438H1.75V2.188h-.437zm3.5-3.063H3.063v.438h1.75zm-.438 3.5H2.625v.438h1.75zm2.188-3.063h-.438v1.313h.438zM.875 3.5H.438v1.313h.438zm1.313-1.75H1.75v.438h.438zm1.313 1.313h-.438v.438h.438zm-.438.875h-.438v.438h.438zm-.438.875h-.437v.438h.438zm1.75-.875h-.437v.438h.438zm.438.875h-.438v.438h.438zm.438-.438h-.438v.438h.438zm-2.188-1.75v-.437h-.438v.438h-.437v1.313h.438V2.625zm3.063-.875h-.438v.438h.438zm-.875.438h-.438v.438h.438zm.438.438h-.438v1.75h.438zM1.313 4.813H.875v.438h.438zm.438.438h-.438v.438h.438zm.438.438H1.75v.438h.438z" fill="#b79cf8"/>
`});function li(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${io}
	</svg>`}var io,ja=w(()=>{O();W();io=E`
	<path d="M6.125 1.75v-.437h-.438V.875h-.438V.438H1.75v.438h-.437v.438H.875v.438H.438v2.625h.438v.438h.438v.438h.438v.875h.438v.438h2.625v-.438h.438v-.875h.438v-.438h.438v-.438h.438V1.75z" fill="#d1cdd5"/>
	<path d="M1.75.438h-.437v.438h.438zm-.437.437H.875v.438h.438zm-.438.438H.438v.438h.438zm.875 3.938h-.437v.875h.438zm-.438-.438H.875v.438h.438zm.875 1.313H1.75v.438h.438zM.874 4.376H.438v.438h.438z" fill="#000"/>
	<path d="M1.75 4.813h-.437v.438h.438zm.438.875H1.75v.438h.438zm-.875-1.313H.875v.438h.438zm1.75-1.313H1.75v1.313h1.313z" fill="#847d8b"/>
	<path d="M3.063 3.5h-.875v.875h.875z" fill="#57595f"/>
	<path d="M5.25 3.063H3.938v1.313h1.313z" fill="#847d8b"/>
	<path d="M5.25 3.5h-.875v.875h.875z" fill="#57595f"/>
	<path d="M5.25 5.254h.438v-.438H5.25zm-.438.875h.438v-.438h-.438zm.875-1.313h.438v-.438h-.438z" fill="#847d8b"/>
	<path d="M.438 1.75H0v2.625h.438z" fill="#000"/>
	<path d="M.875 1.75H.438v2.625h.438z" fill="#fff"/>
	<path d="M5.25.879h.438V.441H5.25zm.438.438h.438V.879h-.438zm.438.438h.438v-.438h-.438zM5.251 6.13h.438v-.875h-.438zm.438-.875h.438v-.438h-.438zm-.875 1.313h.438V6.13h-.438zm1.313-1.75h.438V4.38h-.438zm.438-.438h.438V1.755h-.438z" fill="#000"/>
	<path d="M6.125 4.379h.438V1.754h-.438z" fill="#847d8b"/>
	<path d="M1.75 0v.438h3.5V0z" fill="#000"/>
	<path d="M1.75.875h-.437v.438h.438zm-.437.438H.875v.438h.438zm.438.438h-.438v.438h.438zm3.5-.433h.438V.88h-.438zm.438.438h.438v-.438h-.438zM1.75.438v.438h3.5V.438z" fill="#fff"/>
	<path d="M2.188 6.563v.438h2.625v-.438z" fill="#000"/>
	<path d="M2.188 6.125v.438h2.625v-.438z" fill="#847d8b"/>
	<path d="M3.063 5.688h-.438v.875h.438zm1.313 0h-.438v.875h.438z" fill="#57595f"/>
`});function ni(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${so}
	</svg>`}var so,Aa=w(()=>{O();W();so=E`
	<path d="M3.063 0H1.75v.438h1.313zm1.75.438h-1.75v.438h1.75zm-.875 2.187H3.5v1.75h.438zm-3.5-.437H0v2.625h.438zM6.563.875h-1.75v.438h1.75z" fill="#000"/>
	<path d="M3.063.438H1.75v.438h1.313zm1.75.438h-1.75v.438h1.75zm1.75.438h-1.75v.438h1.75z" fill="#f0f0f0"/>
	<path d="M3.063 6.563H1.75v.438h1.313z" fill="#000"/>
	<path d="M2.625 6.125v-.438h-.437v-.875H1.75V2.188h.438v-.875h.438V.875H1.75v.438H.875v1.75H.438v1.75h.438v.875h.438v.438h.438v.438h1.313v-.438z" fill="#ffe361"/>
	<path d="M3.063 6.125H1.75v.438h1.313z" fill="#ffb84b"/>
	<path d="M4.813 6.125h-1.75v.438h1.75z" fill="#000"/>
	<path d="M4.375 5.688V5.25h-.437v-.875H3.5v-1.75h.438V1.75h.438v-.437H3.063v.438h-.438v1.313h-.437v1.75h.438v.875h.438v.438h1.75v-.438z" fill="#ffe361"/>
	<path d="M6.563 5.688h-1.75v.438h1.75zM1.75.438h-.437v.438h.438zm-.437.437H.875v.438h.438zm-.438.438H.438v.875h.438zm6.125 0h-.438v.438H7zm-.438.438h-.438v.438h.438zm-.438.438h-.438v.875h.438zm.875 3.063h-.438v.438h.438zm-.438-.438h-.438v.438h.438zm-.438-.875h-.438v.875h.438zm-.438-.875h-.438v.875h.438zM1.747 6.127h-.434v.438h.438zm-.438-.438H.875v.438h.438zm-.438-.875H.438v.875h.438zm1.313-2.625H1.75v2.625h.438zM3.059.876h-.434v.438h.438zm-.434.437h-.437v.875h.438z" fill="#000"/>
	<path d="M.875 2.188H.438v.875h.438zm1.75 0h-.437v.875h.438z" fill="#f0f0f0"/>
	<path d="M2.188 1.313H1.75v.875h.438z" fill="#ffb84b"/>
	<path d="M4.813 1.313h-.438v.438h.438z" fill="#000"/>
	<path d="M1.75.875h-.437v.438h.438z" fill="#f0f0f0"/>
	<path d="M2.625.875h-.437v.438h.438zm1.313.875H3.5v.875h.438zm.438-.438h-.438v.438h.438zm-2.188 3.5H1.75v.438h.438zm-.438.875h-.437v.438h.438zm-.438-.875H.875v.875h.438zm2.188.875v-.438h-.437v-.438h-.438v.875h.438v.438h1.75v-.438zm.438-1.313H3.5v.438h.438z" fill="#ffb84b"/>
	<path d="M4.375 5.688V5.25h-.437v-.875H3.5v-1.75h.438V1.75h.438v-.437H3.063v.438h-.438v1.313h-.437v1.75h.438v.875h.438v.438h1.75v-.438z" fill="url(#a)"/>
	<path d="M6.125 5.25v-.438h-.438v-.874h-.438v-.875h.438v-.875h.438V1.75H4.812v.438h-.438v.438h-.436v1.75h.438v.875h.438v.438h1.75v-.438z" fill="#ff2c52"/>
	<path d="M5.688 2.188H5.25v.875h.438zm.438-.438h-.438v.438h.438zm-.438 2.188H5.25v.438h.438zM5.25 5.251v-.438h-.875v.438h.438v.438h1.75v-.438z" fill="#be0351"/>
	<path d="M1.313 1.313H.875v.438h.438zm0 1.75H.875v.438h.438zm1.75-1.75h-.438v.438h.438zm1.75.438h-.438v.438h.438zm-.438.875h-.437v.438h.438z" fill="#f0f0f0"/>
	<path d="M4.375 1.75h-.437v.875h.438zM3.062 5.688h-.437v.438h.438zm-.438-.875h-.436v.875h.438zm2.188.438h-.438v.438h.438zm-.438-.875h-.436v.875h.438z" fill="#000"/>
	<defs>
		<radialGradient id="a" cx=".75" cy=".5" r="1" fx=".75" fy=".5">
		<stop stop-color="#ff2c52" offset="30%"/>
		<stop stop-color="#ffe361" offset="70%"/>
		</radialGradient>
	</defs>
`});function ci(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${ao}
	</svg>`}var ao,Sa=w(()=>{O();W();ao=E`
	<path d="M4.813.438v.438h-.438v.438h-.437v.438H3.5v.438h-.437v.875h-.438v.438H3.5v.875h.438v-.44h.875V3.5h.438v-.437h.438v-.438h.438v-.437h.438V.438z" fill="#d1cdd5"/>
	<path d="M1.313 3.938h.438v.438h.875v.875h.438v.438h.875v.438h.875v-.875h-.876v-.438H3.5v-.438h-.437v-.438h-.438V3.5h-.437v-.437H1.75v-.875H.875v.875h.438z" fill="#ffe361"/>
	<path d="M2.188 4.813h-.875v.875h.875zm-.875.875H.438v.875h.875z" fill="#ffe361"/>
	<path d="M4.813.438h-.438v.438h.438zm-.438.438h-.437v.438h.438zm-.437.437H3.5v.438h.438zM3.5 1.75h-.437v.438h.438zm-.437.438h-.438v.875h.438zm-.875 0H1.75v.875h.438zm-1.313 0H.438v.875h.438zm.438.875H.875v.875h.438zm3.5.875h-.875v.438h.875zm0 .875h-.875v.438h.875zm.438.438h-.438v.875h.438z" fill="#000"/>
	<path d="M6.563.438h-.438v1.75h.438z" fill="#847d8b"/>
	<path d="M.438 5.688H0v.875h.438zm4.375.438h-.875v.438h.875zm-.875-.438h-.875v.438h.875z" fill="#000"/>
	<path d="M2.188 5.25h-.875v.438h.875zm-.875.875H.438v.438h.875z" fill="#ffb84b"/>
	<path d="M1.313 6.125v.438h.438v-.438h.438v-.438h-.876zm1.313-.875v-.875H1.75v-.437h-.437v.875h.875v.875h.875V5.25zm-1.313 0v-.438H.875v.438H.438v.438h.875zm0 1.313H.438v.438h.875zM1.75 1.75H.875v.438h.875zm1.313 2.188v.438h.438V3.5h-.876v.438z" fill="#000"/>
	<path d="M5.688 1.313H5.25v.438h.438zm-.438.438h-.438v.438h.438zm-.438.438h-.438v.438h.438zm-.438.438h-.436v.438h.438zm-.436.436H3.5v.438h.438z" fill="#847d8b"/>
	<path d="M3.063 3.063h-.438v.438h.438z" fill="#f0f0f0"/>
	<path d="M1.75 3.5h-.437v.438h.438zm-.437-.875H.875v.438h.438zm.875 1.313H1.75v.438h.438zm.875.875h-.438v.438h.438zm.438.438h-.438v.438h.438zm.875.438h-.438v.438h.438z" fill="#ffb84b"/>
	<path d="M3.938 4.375H3.5v.438h.438zM2.625 3.063h-.437v.438h.438zm3.938-.875h-.438v.438h.438zm-.438.438h-.438v.438h.438zm-.438.438h-.438v.438h.438zm-.438.438h-.438v.438h.438zm-.438-3.5V.44h1.75v1.75h.438V0z" fill="#000"/>
	<path d="M4.813 5.25h-.438v.438h.438zm-.875-.438H3.5v.438h.438zM3.5 4.374h-.437v.438h.438zm-.437-.436h-.438v.438h.438zM2.625 3.5h-.437v.438h.438zm-.437-.437H1.75v.438h.438zM3.5 2.188h-.437v.438h1.313v-.438h-.438V1.75H3.5zM4.375.875v.438h-.437v.438h1.313v-.438h-.438V.875zm1.75-.438H4.812v.438h1.313z" fill="#f0f0f0"/>
	<path d="M6.125 2.188h-.438v.438h.438zm-.438.438h-.438v.438h.438zm-.438.438h-.438v.438h.438zm-.438.438h-.438v.438h.438zm-.873.436H3.5v.438h.438z" fill="#847d8b"/>
	<path d="M1.75 2.188h-.437v.438h.438zm0 2.625h-.437v.438h.438zm-.875.875H.438v.438h.438z" fill="#f0f0f0"/>
`});function di(i={}){return m`<svg
		${C(i)}
		aria-hidden="true"
		role="img"
		width="14"
		height="14"
		viewBox="0 0 7 7"
		fill="none"
		xmlns="http://www.w3.org/2000/svg"
	>
		${ro}
	</svg>`}var ro,Da=w(()=>{O();W();ro=E`
	<path d="M5.688 2.625v-.437H5.25V1.75h-.438v-.437h-.438V.875h-.436V.438h-.875v.438h-.438v.438h-.437v.438H1.75v.438h-.437v.438H.875v.875H.438v2.188h.438v.438h.875v.438h3.5v-.438h.875v-.438h.438V3.5h-.438v-.875z" fill="#0abbff"/>
	<path d="M3.063 0v.438h.875V0zm-.438.438v.438h.438V.438zm1.313 0v.438h.438V.438zm.438.438v.438h.438V.875zm.438.438v.438h.438v-.439zm.438.438v.438h.438v-.44zm.438.438v.438h.438v-.44zm.438.438v.875h.438v-.878zm-5.69-.003V3.5h.438v-.875zM0 3.5v2.188h.438V3.5zm6.563 0v2.188h.438V3.5zM2.188.875v.438h.438V.875zm-.438.438v.438h.438v-.438zm-.437.437v.438h.438V1.75zm-.438.438v.438h.438v-.438zm-.438 3.5v.438h.438v-.438zm5.688 0v.438h.438v-.438zm-4.375.875v.438h3.5v-.438z" fill="#000"/>
	<path d="M1.75 6.125v.438h3.5v-.438z" fill="#4282d8"/>
	<path d="M.875 6.125v.438h.875v-.438zm5.25.438v-.438H5.25v.438z" fill="#000"/>
	<path d="M3.063.438v.438h.875V.438z" fill="#fff"/>
	<path opacity=".5" d="M4.813 3.5v-.437h-.438v-.438h-.437v-.437h-.875v.438h-.438v.438h-.437v.438H1.75v1.313h.438v.438h2.625v-.438h.438V3.5z" fill="#fff"/>
	<path d="M2.625.875v.438h.438V.875zm-.437.438v.438h.438v-.438zm.438.438v.438h.438V1.75zM1.75 1.75v.438h.438V1.75zm-.437.438v.438h.438v-.438zm-.438.437V3.5h.438v-.875zM.438 3.5v.875h.438V3.5z" fill="#fff"/>
	<path d="M5.25 2.188v.438h.438v-.438zm.438.438v.875h.438v-.876zm.438.875v1.75h-.438v.438H5.25v.438h.875v-.438h.438V3.5zM.875 6.125h.875v-.438H.875z" fill="#4282d8"/>
`});var Oa=w(()=>{pa();ua();ga();za();_a();ba();ya();Ma();wa();xa();Ha();$a();ka();Ta();Ea();Ca();Va();ja();Aa();Sa();Da()});function Ze(){return oo}var oo,Ai,Si,mi,Ia,Ba,Pa,Na,La,fi=w(()=>{Oa();oo=globalThis.$discordMessage??{};Ai={blue:"https://cdn.discordapp.com/embed/avatars/0.png",gray:"https://cdn.discordapp.com/embed/avatars/1.png",green:"https://cdn.discordapp.com/embed/avatars/2.png",orange:"https://cdn.discordapp.com/embed/avatars/3.png",red:"https://cdn.discordapp.com/embed/avatars/4.png",pink:"https://cdn.discordapp.com/embed/avatars/5.png"},Si=Ze().avatars??{},mi=Object.assign(Ai,Si,{default:Ai[Si.default]??Si.default??Ai.blue}),Ia=Ze().profiles??{},Ba=Ze().defaultTheme==="light"?"light":"dark",Pa=Ze().defaultMode==="compact"?"compact":"cozy",Na=Ze().defaultBackground==="none"?"none":"discord",La=new Map([["heart",Jt()],["crystal",qt()],["diamond",Zt()],["explosion",Wt()],["flame",Gt()],["flower",Kt()],["key",Qt()],["leaf",Xt()],["lightning",Yt()],["magic",ei()],["moon",ti()],["mushroom",ii()],["mythical",si()],["ornament",ai()],["plasma",ri()],["rock",oi()],["shell",hi()],["skull",li()],["sun",ni()],["sword",ci()],["water",di()]])});function yt(i={}){return m`<svg
		${C(i)}
		class="discord-mention-icon"
		aria-hidden="false"
		width="24"
		height="24"
		viewBox="0 0 20 20"
		xmlns="http://www.w3.org/2000/svg"
	>
		${ho}
	</svg>`}var ho,Di=w(()=>{O();W();ho=E`
	<path
		fill="currentColor"
		d="M18.91 12.98a5.45 5.45 0 0 1 2.18 6.2c-.1.33-.09.68.1.96l.83 1.32a1 1 0 0 1-.84 1.54h-5.5A5.6 5.6 0 0 1 10 17.5a5.6 5.6 0 0 1 5.68-5.5c1.2 0 2.32.36 3.23.98Z"
	/>
	<path
		fill="currentColor"
		d="M19.24 10.86c.32.16.72-.02.74-.38L20 10c0-4.42-4.03-8-9-8s-9 3.58-9 8c0 1.5.47 2.91 1.28 4.11.14.21.12.49-.06.67l-1.51 1.51A1 1 0 0 0 2.4 18h5.1a.5.5 0 0 0 .49-.5c0-4.2 3.5-7.5 7.68-7.5 1.28 0 2.5.3 3.56.86Z"
	/>
`});function Mt(i={}){return m`<svg
		${C(i)}
		class="discord-mention-icon"
		aria-hidden="false"
		width="24"
		height="24"
		viewBox="0 0 24 24"
		xmlns="http://www.w3.org/2000/svg"
	>
		${lo}
	</svg>`}var lo,Oi=w(()=>{O();W();lo=E`
	<path
		fill="currentColor"
		fill-rule="evenodd"
		clip-rule="evenodd"
		d="M10.99 3.16A1 1 0 1 0 9 2.84L8.15 8H4a1 1 0 0 0 0 2h3.82l-.67 4H3a1 1 0 1 0 0 2h3.82l-.8 4.84a1 1 0 0 0 1.97.32L8.85 16h4.97l-.8 4.84a1 1 0 0 0 1.97.32l.86-5.16H20a1 1 0 1 0 0-2h-3.82l.67-4H21a1 1 0 1 0 0-2h-3.82l.8-4.84a1 1 0 1 0-1.97-.32L15.15 8h-4.97l.8-4.84ZM14.15 14l.67-4H9.85l-.67 4h4.97Z"
	/>
`});function wt(i={}){return m`<svg
		${C(i)}
		class="discord-mention-icon"
		aria-hidden="false"
		width="24"
		height="24"
		viewBox="0 0 24 24"
		xmlns="http://www.w3.org/2000/svg"
	>
		${no}
	</svg>`}var no,Ii=w(()=>{O();W();no=E`
	<path
		fill="currentColor"
		d="M12 2.81a1 1 0 0 1 0-1.41l.36-.36a1 1 0 0 1 1.41 0l9.2 9.2a1 1 0 0 1 0 1.4l-.7.7a1 1 0 0 1-1.3.13l-9.54-6.72a1 1 0 0 1-.08-1.58l1-1L12 2.8ZM12 21.2a1 1 0 0 1 0 1.41l-.35.35a1 1 0 0 1-1.41 0l-9.2-9.19a1 1 0 0 1 0-1.41l.7-.7a1 1 0 0 1 1.3-.12l9.54 6.72a1 1 0 0 1 .07 1.58l-1 1 .35.36ZM15.66 16.8a1 1 0 0 1-1.38.28l-8.49-5.66A1 1 0 1 1 6.9 9.76l8.49 5.65a1 1 0 0 1 .27 1.39ZM17.1 14.25a1 1 0 1 0 1.11-1.66L9.73 6.93a1 1 0 0 0-1.11 1.66l8.49 5.66Z"
	/>
`});function xt(i={}){return m`<svg
		${C(i)}
		class="discord-mention-icon"
		aria-hidden="false"
		width="24"
		height="24"
		viewBox="0 0 24 24"
		xmlns="http://www.w3.org/2000/svg"
	>
		${co}
	</svg>`}var co,Bi=w(()=>{O();W();co=E`
	<path
		fill="currentColor"
		fill-rule="evenodd"
		clip-rule="evenodd"
		d="M6 9h1V6a5 5 0 0 1 10 0v3h1a3 3 0 0 1 3 3v8a3 3 0 0 1-3 3H6a3 3 0 0 1-3-3v-8a3 3 0 0 1 3-3Zm9-3v3H9V6a3 3 0 1 1 6 0Zm-1 8a2 2 0 0 1-1 1.73V18a1 1 0 1 1-2 0v-2.27A2 2 0 1 1 14 14Z"
	/>
`});function Ht(i={}){return m`<svg
		${C(i)}
		class="discord-mention-icon"
		aria-hidden="false"
		width="24"
		height="24"
		viewBox="0 0 24 24"
		xmlns="http://www.w3.org/2000/svg"
	>
		${mo}
	</svg>`}var mo,Pi=w(()=>{O();W();mo=E`
	<path
		fill="currentColor"
		d="M12 3a1 1 0 0 0-1-1h-.06a1 1 0 0 0-.74.32L5.92 7H3a1 1 0 0 0-1 1v8a1 1 0 0 0 1 1h2.92l4.28 4.68a1 1 0 0 0 .74.32H11a1 1 0 0 0 1-1V3ZM15.1 20.75c-.58.14-1.1-.33-1.1-.92v-.03c0-.5.37-.92.85-1.05a7 7 0 0 0 0-13.5A1.11 1.11 0 0 1 14 4.2v-.03c0-.6.52-1.06 1.1-.92a9 9 0 0 1 0 17.5Z"
	/>
	<path
		fill="currentColor"
		d="M15.16 16.51c-.57.28-1.16-.2-1.16-.83v-.14c0-.43.28-.8.63-1.02a3 3 0 0 0 0-5.04c-.35-.23-.63-.6-.63-1.02v-.14c0-.63.59-1.1 1.16-.83a5 5 0 0 1 0 9.02Z"
	/>
`});var st,ue,ae,We,Ni,V8,fe=w(()=>{me();O();se();be();fi();Di();Oi();Ii();Bi();Pi();st=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},ue=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},ae="light-theme",We="compact-mode",Ni="no-background",V8=(()=>{let i=[F("discord-messages")],t,s=[],e,a=N,h,r=[],c=[],z,f=[],l=[],o,y=[],_=[],g,d=[],n=[],v,V=[],k=[];var L=class extends a{static{e=this}static{let b=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;h=[dt({context:ae}),M({type:Boolean,reflect:!0,attribute:"light-theme"})],z=[dt({context:Ni}),M({type:Boolean,reflect:!0,attribute:"no-background"})],o=[dt({context:We}),M({type:Boolean,reflect:!0,attribute:"compact-mode"})],g=[M({reflect:!0,attribute:"channel-type"})],v=[M({reflect:!0,attribute:"channel-name"})],st(this,null,h,{kind:"accessor",name:"lightTheme",static:!1,private:!1,access:{has:u=>"lightTheme"in u,get:u=>u.lightTheme,set:(u,j)=>{u.lightTheme=j}},metadata:b},r,c),st(this,null,z,{kind:"accessor",name:"noBackground",static:!1,private:!1,access:{has:u=>"noBackground"in u,get:u=>u.noBackground,set:(u,j)=>{u.noBackground=j}},metadata:b},f,l),st(this,null,o,{kind:"accessor",name:"compactMode",static:!1,private:!1,access:{has:u=>"compactMode"in u,get:u=>u.compactMode,set:(u,j)=>{u.compactMode=j}},metadata:b},y,_),st(this,null,g,{kind:"accessor",name:"channelType",static:!1,private:!1,access:{has:u=>"channelType"in u,get:u=>u.channelType,set:(u,j)=>{u.channelType=j}},metadata:b},d,n),st(this,null,v,{kind:"accessor",name:"channelName",static:!1,private:!1,access:{has:u=>"channelName"in u,get:u=>u.channelName,set:(u,j)=>{u.channelName=j}},metadata:b},V,k),st(null,t={value:e},i,{kind:"class",name:e.name,metadata:b},null,s),L=e=t.value,b&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:b})}static styles=U`
		:host {
			color: #fff;
			background-color: #36393e;
			display: block;
			font-size: 16px;
			font-family: 'gg sans', 'Noto Sans', Whitney, 'Helvetica Neue', Helvetica, Roboto, Arial, sans-serif;
			line-height: 170%;
			border: 1px solid rgba(255, 255, 255, 0.05);
		}

		:host([light-theme]) {
			color: #747f8d;
			background-color: #fff;
			border-color: #dedede;
		}

		:host([no-background]) {
			background-color: unset;
		}

		::slotted(*) {
			padding-top: 0.125rem;
			padding-bottom: 0.125rem;
		}

		::slotted(*:first-child) {
			margin-top: 0.5rem;
		}

		::slotted(*:not(:first-child)) {
			margin-top: 1.0625rem;
		}

		:host([compact-mode]) ::slotted(*:not(:first-child)) {
			margin-top: unset;
		}

		::slotted(*:last-child) {
			margin-bottom: 0.5rem;
			border-bottom-width: 0;
		}

		:host .discord-channel-header {
			display: flex;
			align-items: center;
			padding: 0.5rem 1rem;
			box-shadow:
				0 2px 0 0 rgba(0, 0, 0, 0.05),
				0 1.5px 0 0 rgba(0, 0, 0, 0.05),
				0 1px 0 0 rgba(0, 0, 0, 0.16);
		}

		:host .discord-channel-icon {
			height: 24px;
			width: auto;
			margin: 0 8px;
			position: relative;
			flex: 0 0 auto;
			color: #80848e;
		}

		:host([light-theme]) .discord-channel-icon {
			color: #6d6f78;
		}

		:host .discord-channel-name {
			margin: 0 8px 0 0;
			flex: 0 0 auto;
			min-width: auto;
		}
	`;#e=ue(this,r,!1);get lightTheme(){return this.#e}set lightTheme(b){this.#e=b}#t=(ue(this,c),ue(this,f,!1));get noBackground(){return this.#t}set noBackground(b){this.#t=b}#i=(ue(this,l),ue(this,y,!1));get compactMode(){return this.#i}set compactMode(b){this.#i=b}#s=(ue(this,_),ue(this,d,void 0));get channelType(){return this.#s}set channelType(b){this.#s=b}#a=(ue(this,n),ue(this,V,void 0));get channelName(){return this.#a}set channelName(b){this.#a=b}connectedCallback(){super.connectedCallback(),(this.lightTheme||Ba==="light"&&this.lightTheme)&&(this.lightTheme=!0),(this.compactMode||Pa==="compact"&&this.compactMode)&&(this.compactMode=!0),(this.noBackground||Na==="none"&&this.noBackground)&&(this.noBackground=!0)}render(){let b;switch(this.channelType){case"text":b=m`${Mt()}`;break;case"voice":b=m`${Ht()}`;break;case"locked":b=m`${xt()}`;break;case"thread":b=m`${wt()}`;break;case"forum":b=m`${yt()}`;break}return m`
			${R(this.channelType&&this.channelName,()=>m`<div class="discord-channel-header">
						<div class="discord-channel-icon">${b}</div>
						<div class="discord-channel-name">${this.channelName}</div>
					</div>`)}
			<slot></slot>
		`}constructor(){super(...arguments),ue(this,k)}static{ue(e,s)}};return L=e})()});var he,Ra=w(()=>{we();it();he=qe(class extends Be{constructor(i){if(super(i),i.type!==tt.ATTRIBUTE||i.name!=="class"||i.strings?.length>2)throw Error("`classMap()` can only be used in the `class` attribute and must be the only part in the attribute.")}render(i){return" "+Object.keys(i).filter(t=>i[t]).join(" ")+" "}update(i,[t]){if(this.st===void 0){this.st=new Set,i.strings!==void 0&&(this.nt=new Set(i.strings.join(" ").split(/\s/).filter(e=>e!=="")));for(let e in t)t[e]&&!this.nt?.has(e)&&this.st.add(e);return this.render(t)}let s=i.element.classList;for(let e of this.st)e in t||(s.remove(e),this.st.delete(e));for(let e in t){let a=!!t[e];a===this.st.has(e)||this.nt?.has(e)||(a?(s.add(e),this.st.add(e)):(s.remove(e),this.st.delete(e)))}return pe}})});var Ge=w(()=>{Ra()});var q,Ua=w(()=>{we();q=i=>i??ie});var xe=w(()=>{Ua()});function at(i,t=!1,s=!1){if(!(i instanceof Date)&&typeof i!="string")throw new TypeError("Timestamp prop must be a Date object or a string.");return t?go(i,s):uo(i)}function rt(i){let t=Ze().emojis?.[i];if(t)return t;let s=zo.exec(i);if(s?.groups){let{name:e,id:a,animated:h}=s.groups;return{name:e,url:`https://cdn.discordapp.com/emojis/${a}.${h?"gif":"png"}`}}}function Fa(i){if(i)return La.get(i)??i}var vi,fo,vo,po,uo,go,zo,Pe=w(()=>{fi();vi=class extends Error{constructor(t){super(t),this.name="DiscordComponentsError"}},fo=new Intl.DateTimeFormat("en-US",{day:"2-digit",month:"2-digit",year:"numeric"}),vo=new Intl.DateTimeFormat("en-US",{hour12:!0,hour:"2-digit",minute:"2-digit"}),po=new Intl.DateTimeFormat("en-US",{hour12:!1,hour:"2-digit",minute:"2-digit"}),uo=i=>i instanceof Date?fo.format(i):i,go=(i,t=!1)=>i instanceof Date?t?po.format(i):vo.format(i):i;zo=/(?:<(?<animated>a)?:(?<name>\w{2,32}):)?(?<id>\d{17,21})>?/});function $t(i={}){return m`<svg
		${C(i)}
		class="discord-application-tag-verified"
		aria-label="Verified App"
		aria-hidden="false"
		width="16"
		height="16"
		viewBox="0 0 16 15.2"
		xmlns="http://www.w3.org/2000/svg"
	>
		${_o}
	</svg>`}var _o,Li=w(()=>{O();W();_o=E`
	<path d="M7.4,11.17,4,8.62,5,7.26l2,1.53L10.64,4l1.36,1Z" fill="currentColor" />
`});var Ri,kt,tn,qa=w(()=>{me();O();se();be();fe();Li();Ri=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},kt=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},tn=(()=>{let i=[F("discord-verified-author-tag")],t,s=[],e,a=N,h,r=[],c=[],z,f=[],l=[];var o=class extends a{static{e=this}static{let y=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;h=[M({type:Boolean})],z=[te({context:We}),M({type:Boolean,reflect:!0,attribute:"compact-mode"})],Ri(this,null,h,{kind:"accessor",name:"verified",static:!1,private:!1,access:{has:_=>"verified"in _,get:_=>_.verified,set:(_,g)=>{_.verified=g}},metadata:y},r,c),Ri(this,null,z,{kind:"accessor",name:"compactMode",static:!1,private:!1,access:{has:_=>"compactMode"in _,get:_=>_.compactMode,set:(_,g)=>{_.compactMode=g}},metadata:y},f,l),Ri(null,t={value:e},i,{kind:"class",name:e.name,metadata:y},null,s),o=e=t.value,y&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:y})}static styles=U`
		:host {
			background-color: #5865f2;
			color: #fff;
			font-size: 0.625em;
			margin-left: 4px;
			border-radius: 3px;
			line-height: 100%;
			text-transform: uppercase;
			display: inline-flex;
			align-items: center;
			height: 0.9375rem;
			padding: 0 0.275rem;
			margin-top: 0.075em;
			border-radius: 0.1875rem;
		}

		:host .discord-application-tag-verified {
			display: inline-block;
			width: 0.9375rem;
			height: 0.9375rem;
			margin-left: -0.25rem;
		}

		:host([compact-mode]) {
			padding-left: 10px;
			padding-right: 4px;
			margin-right: 0.25rem;
			margin-left: 0px !important;
			margin-top: 0px !important;
		}

		:host([compact-mode]) .discord-application-tag-verified {
			margin-right: 0.7em;
			margin-left: -0.7em;
		}
	`;#e=kt(this,r,!1);get verified(){return this.#e}set verified(y){this.#e=y}#t=(kt(this,c),kt(this,f,!1));get compactMode(){return this.#t}set compactMode(y){this.#t=y}render(){return m`${R(this.verified,()=>$t())}App`}constructor(){super(...arguments),kt(this,l)}static{kt(e,s)}};return o=e})()});var Za,bo,Tt,Wa=w(()=>{we();it();Za="important",bo=" !"+Za,Tt=qe(class extends Be{constructor(i){if(super(i),i.type!==tt.ATTRIBUTE||i.name!=="style"||i.strings?.length>2)throw Error("The `styleMap` directive must be used in the `style` attribute and must be the only part in the attribute.")}render(i){return Object.keys(i).reduce((t,s)=>{let e=i[s];return e==null?t:t+`${s=s.includes("-")?s:s.replace(/(?:^(webkit|moz|ms|o)|)(?=[A-Z])/g,"-$&").toLowerCase()}:${e};`},"")}update(i,[t]){let{style:s}=i.element;if(this.ft===void 0)return this.ft=new Set(Object.keys(t)),this.render(t);for(let e of this.ft)t[e]==null&&(this.ft.delete(e),e.includes("-")?s.removeProperty(e):s[e]=null);for(let e in t){let a=t[e];if(a!=null){this.ft.add(e);let h=typeof a=="string"&&a.endsWith(bo);e.includes("-")||h?s.setProperty(e,h?a.slice(0,-11):a,h?Za:""):s[e]=a}}return pe}})});var Ui=w(()=>{Wa()});var le,Q,yn,Ga=w(()=>{qa();me();O();se();xe();Ui();be();Pe();fe();Li();le=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},Q=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},yn=(()=>{let i=[F("discord-author-info")],t,s=[],e,a=N,h,r=[],c=[],z,f=[],l=[],o,y=[],_=[],g,d=[],n=[],v,V=[],k=[],L,b=[],u=[],j,P=[],A=[],J,oe=[],ne=[],ve,Z=[],S=[],ee,Te=[],Ee=[],Ce,Ve=[],je=[],Ae,Se=[],De=[],Oe,I=[],$=[];var G=class extends a{static{e=this}static{let D=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;h=[M()],z=[M({type:Boolean})],o=[M({type:Boolean})],g=[M({type:Boolean,attribute:"official-app"})],v=[M({type:Boolean})],L=[M({attribute:"role-color"})],j=[M({attribute:"role-icon"})],J=[M({attribute:"role-name"})],ve=[M({attribute:"clan-icon"})],ee=[M({attribute:"clan-tag"})],Ce=[M({type:Boolean})],Ae=[te({context:We}),M({type:Boolean,reflect:!0,attribute:"compact-mode"})],Oe=[te({context:ae}),M({type:Boolean,reflect:!0,attribute:"light-theme"})],le(this,null,h,{kind:"accessor",name:"author",static:!1,private:!1,access:{has:H=>"author"in H,get:H=>H.author,set:(H,K)=>{H.author=K}},metadata:D},r,c),le(this,null,z,{kind:"accessor",name:"bot",static:!1,private:!1,access:{has:H=>"bot"in H,get:H=>H.bot,set:(H,K)=>{H.bot=K}},metadata:D},f,l),le(this,null,o,{kind:"accessor",name:"server",static:!1,private:!1,access:{has:H=>"server"in H,get:H=>H.server,set:(H,K)=>{H.server=K}},metadata:D},y,_),le(this,null,g,{kind:"accessor",name:"officialApp",static:!1,private:!1,access:{has:H=>"officialApp"in H,get:H=>H.officialApp,set:(H,K)=>{H.officialApp=K}},metadata:D},d,n),le(this,null,v,{kind:"accessor",name:"op",static:!1,private:!1,access:{has:H=>"op"in H,get:H=>H.op,set:(H,K)=>{H.op=K}},metadata:D},V,k),le(this,null,L,{kind:"accessor",name:"roleColor",static:!1,private:!1,access:{has:H=>"roleColor"in H,get:H=>H.roleColor,set:(H,K)=>{H.roleColor=K}},metadata:D},b,u),le(this,null,j,{kind:"accessor",name:"roleIcon",static:!1,private:!1,access:{has:H=>"roleIcon"in H,get:H=>H.roleIcon,set:(H,K)=>{H.roleIcon=K}},metadata:D},P,A),le(this,null,J,{kind:"accessor",name:"roleName",static:!1,private:!1,access:{has:H=>"roleName"in H,get:H=>H.roleName,set:(H,K)=>{H.roleName=K}},metadata:D},oe,ne),le(this,null,ve,{kind:"accessor",name:"clanIcon",static:!1,private:!1,access:{has:H=>"clanIcon"in H,get:H=>H.clanIcon,set:(H,K)=>{H.clanIcon=K}},metadata:D},Z,S),le(this,null,ee,{kind:"accessor",name:"clanTag",static:!1,private:!1,access:{has:H=>"clanTag"in H,get:H=>H.clanTag,set:(H,K)=>{H.clanTag=K}},metadata:D},Te,Ee),le(this,null,Ce,{kind:"accessor",name:"verified",static:!1,private:!1,access:{has:H=>"verified"in H,get:H=>H.verified,set:(H,K)=>{H.verified=K}},metadata:D},Ve,je),le(this,null,Ae,{kind:"accessor",name:"compactMode",static:!1,private:!1,access:{has:H=>"compactMode"in H,get:H=>H.compactMode,set:(H,K)=>{H.compactMode=K}},metadata:D},Se,De),le(this,null,Oe,{kind:"accessor",name:"lightTheme",static:!1,private:!1,access:{has:H=>"lightTheme"in H,get:H=>H.lightTheme,set:(H,K)=>{H.lightTheme=K}},metadata:D},I,$),le(null,t={value:e},i,{kind:"class",name:e.name,metadata:D},null,s),G=e=t.value,D&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:D})}static styles=U`
		:host {
			display: inline-flex;
			align-items: center;
			font-size: 16px;
			text-underline-offset: 1px;
			margin-right: 0.25rem;
		}

		:host .discord-author-username {
			color: #fff;
			font-size: 1em;
			font-weight: 500;
		}

		:host .discord-author-username:hover {
			text-decoration: underline;
			cursor: pointer;
		}

		:host([light-theme]) .discord-author-username {
			color: #23262a;
		}

		:host .discord-clan-tag {
			background-color: oklab(0.431937 0.00109309 -0.0132537 / 0.54);
			color: #fff;
			font-size: 12px;
			font-weight: 500;
			margin-left: 0.25rem;
			border-radius: 4px;
			line-height: 100%;
			text-transform: uppercase;
			display: inline-flex;
			width: max-content;
			gap: 0.25rem;
			justify-content: space-between;
			align-items: center;
			padding: 0 0.275rem;
			margin-top: 0.075em;
			height: 1.2rem;
			min-width: 45px;
			line-height: 1rem !important;
			transition: background-color 100ms ease-in-out;
			cursor: pointer;
		}

		:host .discord-clan-tag:hover {
			background-color: oklab(0.431937 0.00109309 -0.0132537 / 0.34);
		}

		:host([light-theme]) .discord-clan-tag {
			background-color: hsl(0 calc(1 * 0%) 0.8%/0.09);
			color: #000;
		}

		:host([light-theme]) .discord-clan-tag:hover {
			background-color: hsl(0 calc(1 * 0%) 0.8%/0.03);
		}

		:host([compact-mode]) .discord-clan-tag {
			margin-left: 0rem;
		}

		:host .discord-clan-tag span,
		:host .discord-clan-tag svg,
		:host .discord-clan-tag img {
			user-select: none;
			-webkit-user-select: none;
		}

		:host .discord-application-tag {
			background-color: #5865f2;
			color: #fff;
			font-size: 0.625em;
			border-radius: 3px;
			line-height: 100%;
			text-transform: uppercase;

			/* Use flex layout to ensure both verified icon and "BOT" text are aligned to center */
			display: inline-flex;
			align-items: center;

			/* Styling taken through Inspect Element on Discord client for Windows */
			height: 0.9375rem;
			padding: 0 0.275rem;
			margin-top: 0.075em;
			border-radius: 0.1875rem;
		}

		:host .discord-official-application {
			background-color: #5865f2;
			color: #fff;
			font-size: 0.625em;
			margin-left: 4px;
			border-radius: 3px;
			line-height: 100%;
			text-transform: uppercase;

			/* Use flex layout to ensure both verified icon and "BOT" text are aligned to center */
			display: flex;
			align-items: center;

			/* Styling taken through Inspect Element on Discord client for Windows */
			height: 0.9375rem;
			padding: 0 0.275rem;
			margin-top: 0.075em;
			border-radius: 0.1875rem;
		}

		:host([compact-mode]) .discord-official-application {
			margin-right: 5px;
			margin-left: 0px !important;
		}

		:host .discord-application-tag.discord-application-tag-op {
			background-color: #c9cdfb;
			color: #4752c4;
			border-radius: 0.4rem;
		}

		:host .discord-author-role-icon {
			margin-left: 0.25rem;
			vertical-align: top;
			height: calc(1rem + 4px);
			width: calc(1rem + 4px);
		}

		:host([compact-mode]) .discord-author-username {
			margin-right: 0.25rem;
		}

		:host([compact-mode]) .discord-application-tag {
			padding-left: 10px;
			padding-right: 4px;
			margin-right: 0.25rem;
		}
	`;#e=Q(this,r,void 0);get author(){return this.#e}set author(D){this.#e=D}#t=(Q(this,c),Q(this,f,!1));get bot(){return this.#t}set bot(D){this.#t=D}#i=(Q(this,l),Q(this,y,!1));get server(){return this.#i}set server(D){this.#i=D}#s=(Q(this,_),Q(this,d,!1));get officialApp(){return this.#s}set officialApp(D){this.#s=D}#a=(Q(this,n),Q(this,V,!1));get op(){return this.#a}set op(D){this.#a=D}#r=(Q(this,k),Q(this,b,void 0));get roleColor(){return this.#r}set roleColor(D){this.#r=D}#o=(Q(this,u),Q(this,P,void 0));get roleIcon(){return this.#o}set roleIcon(D){this.#o=D}#h=(Q(this,A),Q(this,oe,void 0));get roleName(){return this.#h}set roleName(D){this.#h=D}#l=(Q(this,ne),Q(this,Z,void 0));get clanIcon(){return this.#l}set clanIcon(D){this.#l=D}#n=(Q(this,S),Q(this,Te,void 0));get clanTag(){return this.#n}set clanTag(D){this.#n=D}#c=(Q(this,Ee),Q(this,Ve,!1));get verified(){return this.#c}set verified(D){this.#c=D}#d=(Q(this,je),Q(this,Se,!1));get compactMode(){return this.#d}set compactMode(D){this.#d=D}#m=(Q(this,De),Q(this,I,!1));get lightTheme(){return this.#m}set lightTheme(D){this.#m=D}render(){let D=Fa(this.clanIcon),H=this.clanTag?.slice(0,4);return m`${R(this.compactMode,()=>null,()=>m`<span class="discord-author-username" style="${Tt({color:this.roleColor??void 0})}">${this.author}</span>`)}
		${R(this.roleIcon&&!this.compactMode,()=>m`<img
					class="discord-author-role-icon"
					src=${q(this.roleIcon)}
					height="20"
					width="20"
					alt=${q(this.roleName)}
					draggable="false"
				/>`)}
		${R(this.bot&&!this.server&&!this.officialApp,()=>m`<discord-verified-author-tag .verified=${this.verified}></discord-verified-author-tag>`)}
		${R(this.server&&!this.bot&&!this.officialApp,()=>m`<span class="discord-application-tag">Server</span>`)}
		${R(this.officialApp&&!this.server&&!this.bot,()=>m`<span class="discord-official-application">${$t()}OFFICIAL</span>`)}
		${R(this.op,()=>m`<span class="discord-application-tag discord-application-tag-op">OP</span>`)}
		${R(this.compactMode,()=>m`<span class="discord-author-username" style="${Tt({color:this.roleColor??void 0})}">${this.author}</span>`)}
		${R(this.clanIcon&&this.clanTag&&this.clanTag?.length>0,()=>m`
				<span class="discord-clan-tag">
					${D==="string"?m`<img srcset=${q(D)} alt=${q(H)} width="12" height="12" draggable="false" />`:D}
					<span>${H}</span>
				</span>
			`)} `}constructor(){super(...arguments),Q(this,$)}static{Q(e,s)}};return G=e})()});function Fi(i={}){return m`<svg
		${C(i)}
		class="discord-message-ephemeral-icon"
		aria-hidden="false"
		width="16"
		height="16"
		viewBox="0 0 24 24"
		xmlns="http://www.w3.org/2000/svg"
	>
		${yo}
	</svg>`}var yo,Ka=w(()=>{O();W();yo=E`
 	<path 
		fill="currentColor" 
 		d="M15.56 11.77c.2-.1.44.02.44.23a4 4 0 1 1-4-4c.21 0 .33.25.23.44a2.5 2.5 0 0 0 3.32 3.32Z"
 	/>
  	<path 
		fill="currentColor" 
  		fill-rule="evenodd" 
  		d="M22.89 11.7q.105.3 0 .6C22.27 13.9 19.1 21 12 21c-7.11 0-10.27-7.11-10.89-8.7a.83.83 0 0 1 0-.6C1.73 10.1 4.9 3 12 3c7.11 0 10.27 7.11 10.89 8.7m-4.5-3.62A15.1 15.1 0 0 1 20.85 12c-.38.88-1.18 2.47-2.46 3.92C16.87 17.62 14.8 19 12 19s-4.87-1.38-6.39-3.08A15.1 15.1 0 0 1 3.15 12c.38-.88 1.18-2.47 2.46-3.92C7.13 6.38 9.2 5 12 5s4.87 1.38 6.39 3.08" 
  		clip-rule="evenodd"
  	/>
`});var X,B,Bn,Ja=w(()=>{me();O();se();Ge();xe();be();fi();Pe();Ga();fe();Ka();X=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},B=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},Bn=(()=>{let i=[F("discord-message")],t,s=[],e,a=N,h,r=[],c=[],z,f=[],l=[],o,y=[],_=[],g,d=[],n=[],v,V=[],k=[],L,b=[],u=[],j,P=[],A=[],J,oe=[],ne=[],ve,Z=[],S=[],ee,Te=[],Ee=[],Ce,Ve=[],je=[],Ae,Se=[],De=[],Oe,I=[],$=[],G,D=[],H=[],K,Xi=[],Yi=[],es,ts=[],is=[],ss,as=[],rs=[],os,hs=[],ls=[],ns,cs=[],ds=[],ms,fs=[],vs=[],ps,us=[],gs=[],zs,_s=[],bs=[],ys,Ms=[],ws=[],xs,Hs=[],$s=[];var ks=class extends a{static{e=this}static{let x=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;h=[M()],z=[M()],o=[M()],g=[M({type:Boolean})],v=[M({type:Boolean})],L=[M({type:Boolean,attribute:"official-app"})],j=[M({type:Boolean})],J=[M({type:Boolean})],ve=[M({type:Boolean})],ee=[M({attribute:"role-color"})],Ce=[M({attribute:"role-icon"})],Ae=[M({attribute:"role-name"})],Oe=[M({attribute:"clan-icon"})],G=[M({attribute:"clan-tag"})],K=[M({type:Boolean,reflect:!0})],es=[M({type:Boolean,reflect:!0})],ss=[M({type:String,converter:p=>at(p,!1,!1),attribute:!0})],os=[M({type:Boolean,attribute:"twenty-four"})],ns=[M({type:Boolean,attribute:"message-body-only"})],ms=[te({context:ae}),M({type:Boolean,reflect:!0,attribute:"light-theme"})],ps=[te({context:We}),M({type:Boolean,reflect:!0,attribute:"compact-mode"})],zs=[te({context:Ni}),M({type:Boolean,reflect:!0,attribute:"no-background"})],ys=[M({type:Boolean,reflect:!0,attribute:"has-thread"})],xs=[M({reflect:!1,attribute:"dismiss-message-clicked"})],X(this,null,h,{kind:"accessor",name:"profile",static:!1,private:!1,access:{has:p=>"profile"in p,get:p=>p.profile,set:(p,T)=>{p.profile=T}},metadata:x},r,c),X(this,null,z,{kind:"accessor",name:"author",static:!1,private:!1,access:{has:p=>"author"in p,get:p=>p.author,set:(p,T)=>{p.author=T}},metadata:x},f,l),X(this,null,o,{kind:"accessor",name:"avatar",static:!1,private:!1,access:{has:p=>"avatar"in p,get:p=>p.avatar,set:(p,T)=>{p.avatar=T}},metadata:x},y,_),X(this,null,g,{kind:"accessor",name:"bot",static:!1,private:!1,access:{has:p=>"bot"in p,get:p=>p.bot,set:(p,T)=>{p.bot=T}},metadata:x},d,n),X(this,null,v,{kind:"accessor",name:"server",static:!1,private:!1,access:{has:p=>"server"in p,get:p=>p.server,set:(p,T)=>{p.server=T}},metadata:x},V,k),X(this,null,L,{kind:"accessor",name:"officialApp",static:!1,private:!1,access:{has:p=>"officialApp"in p,get:p=>p.officialApp,set:(p,T)=>{p.officialApp=T}},metadata:x},b,u),X(this,null,j,{kind:"accessor",name:"verified",static:!1,private:!1,access:{has:p=>"verified"in p,get:p=>p.verified,set:(p,T)=>{p.verified=T}},metadata:x},P,A),X(this,null,J,{kind:"accessor",name:"op",static:!1,private:!1,access:{has:p=>"op"in p,get:p=>p.op,set:(p,T)=>{p.op=T}},metadata:x},oe,ne),X(this,null,ve,{kind:"accessor",name:"edited",static:!1,private:!1,access:{has:p=>"edited"in p,get:p=>p.edited,set:(p,T)=>{p.edited=T}},metadata:x},Z,S),X(this,null,ee,{kind:"accessor",name:"roleColor",static:!1,private:!1,access:{has:p=>"roleColor"in p,get:p=>p.roleColor,set:(p,T)=>{p.roleColor=T}},metadata:x},Te,Ee),X(this,null,Ce,{kind:"accessor",name:"roleIcon",static:!1,private:!1,access:{has:p=>"roleIcon"in p,get:p=>p.roleIcon,set:(p,T)=>{p.roleIcon=T}},metadata:x},Ve,je),X(this,null,Ae,{kind:"accessor",name:"roleName",static:!1,private:!1,access:{has:p=>"roleName"in p,get:p=>p.roleName,set:(p,T)=>{p.roleName=T}},metadata:x},Se,De),X(this,null,Oe,{kind:"accessor",name:"clanIcon",static:!1,private:!1,access:{has:p=>"clanIcon"in p,get:p=>p.clanIcon,set:(p,T)=>{p.clanIcon=T}},metadata:x},I,$),X(this,null,G,{kind:"accessor",name:"clanTag",static:!1,private:!1,access:{has:p=>"clanTag"in p,get:p=>p.clanTag,set:(p,T)=>{p.clanTag=T}},metadata:x},D,H),X(this,null,K,{kind:"accessor",name:"highlight",static:!1,private:!1,access:{has:p=>"highlight"in p,get:p=>p.highlight,set:(p,T)=>{p.highlight=T}},metadata:x},Xi,Yi),X(this,null,es,{kind:"accessor",name:"ephemeral",static:!1,private:!1,access:{has:p=>"ephemeral"in p,get:p=>p.ephemeral,set:(p,T)=>{p.ephemeral=T}},metadata:x},ts,is),X(this,null,ss,{kind:"accessor",name:"timestamp",static:!1,private:!1,access:{has:p=>"timestamp"in p,get:p=>p.timestamp,set:(p,T)=>{p.timestamp=T}},metadata:x},as,rs),X(this,null,os,{kind:"accessor",name:"twentyFour",static:!1,private:!1,access:{has:p=>"twentyFour"in p,get:p=>p.twentyFour,set:(p,T)=>{p.twentyFour=T}},metadata:x},hs,ls),X(this,null,ns,{kind:"accessor",name:"messageBodyOnly",static:!1,private:!1,access:{has:p=>"messageBodyOnly"in p,get:p=>p.messageBodyOnly,set:(p,T)=>{p.messageBodyOnly=T}},metadata:x},cs,ds),X(this,null,ms,{kind:"accessor",name:"lightTheme",static:!1,private:!1,access:{has:p=>"lightTheme"in p,get:p=>p.lightTheme,set:(p,T)=>{p.lightTheme=T}},metadata:x},fs,vs),X(this,null,ps,{kind:"accessor",name:"compactMode",static:!1,private:!1,access:{has:p=>"compactMode"in p,get:p=>p.compactMode,set:(p,T)=>{p.compactMode=T}},metadata:x},us,gs),X(this,null,zs,{kind:"accessor",name:"noBackground",static:!1,private:!1,access:{has:p=>"noBackground"in p,get:p=>p.noBackground,set:(p,T)=>{p.noBackground=T}},metadata:x},_s,bs),X(this,null,ys,{kind:"accessor",name:"hasThread",static:!1,private:!1,access:{has:p=>"hasThread"in p,get:p=>p.hasThread,set:(p,T)=>{p.hasThread=T}},metadata:x},Ms,ws),X(this,null,xs,{kind:"accessor",name:"dismissMessageClicked",static:!1,private:!1,access:{has:p=>"dismissMessageClicked"in p,get:p=>p.dismissMessageClicked,set:(p,T)=>{p.dismissMessageClicked=T}},metadata:x},Hs,$s),X(null,t={value:e},i,{kind:"class",name:e.name,metadata:x},null,s),ks=e=t.value,x&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:x})}static styles=U`
		:host {
			color: #dcddde;
			display: flex;
			flex-direction: column;
			font-size: 0.9em;
			font-family: 'gg sans', 'Noto Sans', Whitney, 'Helvetica Neue', Helvetica, Roboto, Arial, sans-serif;

			position: relative;
			word-wrap: break-word;
			-webkit-user-select: text;
			-moz-user-select: text;
			-ms-user-select: text;
			user-select: text;
			-webkit-box-flex: 0;
			-ms-flex: 0 0 auto;
			flex: 0 0 auto;
			min-height: 1.375rem;
			padding-left: 1em;
			padding-right: 48px;
			margin-top: inherit;
			margin-bottom: inherit;
			line-height: 16px;
		}

		.discord-message-inner {
			display: flex;
			position: relative;
			-webkit-box-flex: 0;
			-ms-flex: 0 0 auto;
			flex: 0 0 auto;
		}

		.discord-message-inner-center {
			align-items: center;
		}

		:host([message-body-only]) {
			margin-top: 0px !important;
			padding-top: 0.125rem !important;
			padding-bottom: 0.0625rem !important;
		}

		:host([highlight]),
		:host([ephemeral]) {
			padding-right: 5px;
			position: relative;
		}

		:host([highlight])::before,
		:host([ephemeral])::before {
			content: '';
			position: absolute;
			display: block;
			top: 0;
			left: 0;
			bottom: 0;
			pointer-events: none;
			width: 2px;
		}

		:host([highlight]) {
			background-color: rgba(250, 166, 26, 0.1);
		}

		:host([highlight][light-theme]) {
			background-color: rgba(250, 166, 26, 0.1);
		}

		:host([highlight])::before {
			background-color: #faa61a;
		}

		:host([light-theme][highlight])::before {
			background-color: #af7615;
		}

		:host([ephemeral]) {
			background-color: rgba(88, 101, 242, 0.05);
		}

		:host([ephemeral]:hover) {
			background-color: rgba(88, 101, 242, 0.1);
		}

		:host([ephemeral])::before {
			background-color: #5865f2;
		}

		:host([light-theme]) {
			color: #2e3338;
			border-color: #eceeef;
		}

		.discord-author-avatar {
			margin-right: 16px;
			margin-top: 5px;
			min-width: 40px;
			z-index: 1;
			display: flex;
		}

		.discord-author-avatar img {
			width: 40px;
			height: 40px;
			border-radius: 50%;
			cursor: pointer;
		}

		.discord-message-timestamp {
			color: #72767d;
			font-size: 12px;
			margin-left: 3px;
		}

		.discord-message-body-only-indent {
			width: 56px;
		}

		:host(:hover) .discord-message-timestamp-hover::before {
			content: attr(datetime);
		}

		:host([light-theme]) .discord-message-timestamp {
			color: #747f8d;
		}

		.discord-message-edited {
			color: #72767d;
			font-size: 10px;
		}

		:host([light-theme]) .discord-message-edited {
			color: #99aab5;
		}

		.discord-message-content {
			width: 100%;
			line-height: 160%;
			font-weight: normal;
			padding-top: 2px;
		}

		.discord-message-body {
			font-size: 1rem;
			font-weight: 400;
			word-break: break-word;
			position: relative;
		}

		:host([light-theme]) .discord-message-timestamp,
		:host([compact-mode]) .discord-message:hover .discord-message-timestamp {
			color: #99aab5;
		}

		:host([light-theme][compact-mode]).discord-message-timestamp {
			color: #d1d9de;
		}

		:host([compact-mode]) .discord-message-timestamp {
			display: inline-block;
			width: 3.1rem;
			text-align: right;
			font-size: 0.6875rem;
			line-height: 1.375rem;
			margin-right: 0.375rem;
			margin-left: 0;
			text-indent: 0;
		}

		:host([compact-mode]) .discord-message-body {
			line-height: 1.375rem;
			padding-left: 10px;
			margin-left: -6px;
		}

		:host([compact-mode]) .discord-message-compact-indent {
			padding-left: 10px;
		}

		:host .discord-message-markup {
			font-size: 1rem;
			line-height: 1.375rem;
			word-wrap: break-word;
			user-select: text;
			font-weight: 400;
			display: inline;
		}

		:host(:hover) {
			background-color: hsl(0 calc(1 * 0%) 0.8%/0.03);
		}

		:host([highlight]:hover) {
			background-color: hsl(40 calc(1 * 86.4%) 56.9%/0.08);
		}

		:host([has-thread]):after {
			width: 2rem;
			left: 2.2rem;
			top: 4.8rem;
			border-left: 2px solid #4f545c !important;
			border-bottom: 2px solid #4f545c !important;
			border-bottom-left-radius: 8px !important;
			bottom: 29px;
			content: '';
			position: absolute;
		}

		:host([light-theme][has-Thread]):after {
			border-color: #747f8d !important;
		}

		.discord-message-ephemeral {
			margin-top: 4px;
			font-size: 12px;
			font-weight: 400;
			color: #72767d;
		}

		:host([light-theme]) .discord-message-ephemeral {
			color: #747f8d;
		}

		.discord-message-ephemeral .discord-message-ephemeral-link {
			color: #00aff4;
			font-weight: 500;
			cursor: pointer;
		}

		.discord-message-ephemeral .discord-message-ephemeral-link:hover {
			text-decoration: underline;
		}

		.discord-message-ephemeral .discord-message-ephemeral-icon {
			margin-right: 4px;
			vertical-align: text-bottom;
		}
	`;#e=B(this,r,void 0);get profile(){return this.#e}set profile(x){this.#e=x}#t=(B(this,c),B(this,f,"User"));get author(){return this.#t}set author(x){this.#t=x}#i=(B(this,l),B(this,y,void 0));get avatar(){return this.#i}set avatar(x){this.#i=x}#s=(B(this,_),B(this,d,!1));get bot(){return this.#s}set bot(x){this.#s=x}#a=(B(this,n),B(this,V,!1));get server(){return this.#a}set server(x){this.#a=x}#r=(B(this,k),B(this,b,!1));get officialApp(){return this.#r}set officialApp(x){this.#r=x}#o=(B(this,u),B(this,P,!1));get verified(){return this.#o}set verified(x){this.#o=x}#h=(B(this,A),B(this,oe,!1));get op(){return this.#h}set op(x){this.#h=x}#l=(B(this,ne),B(this,Z,!1));get edited(){return this.#l}set edited(x){this.#l=x}#n=(B(this,S),B(this,Te,void 0));get roleColor(){return this.#n}set roleColor(x){this.#n=x}#c=(B(this,Ee),B(this,Ve,void 0));get roleIcon(){return this.#c}set roleIcon(x){this.#c=x}#d=(B(this,je),B(this,Se,void 0));get roleName(){return this.#d}set roleName(x){this.#d=x}#m=(B(this,De),B(this,I,void 0));get clanIcon(){return this.#m}set clanIcon(x){this.#m=x}#f=(B(this,$),B(this,D,void 0));get clanTag(){return this.#f}set clanTag(x){this.#f=x}#v=(B(this,H),B(this,Xi,!1));get highlight(){return this.#v}set highlight(x){this.#v=x}#p=(B(this,Yi),B(this,ts,!1));get ephemeral(){return this.#p}set ephemeral(x){this.#p=x}#u=(B(this,is),B(this,as,new Date));get timestamp(){return this.#u}set timestamp(x){this.#u=x}#g=(B(this,rs),B(this,hs,!1));get twentyFour(){return this.#g}set twentyFour(x){this.#g=x}#z=(B(this,ls),B(this,cs,!1));get messageBodyOnly(){return this.#z}set messageBodyOnly(x){this.#z=x}#_=(B(this,ds),B(this,fs,!1));get lightTheme(){return this.#_}set lightTheme(x){this.#_=x}#b=(B(this,vs),B(this,us,!1));get compactMode(){return this.#b}set compactMode(x){this.#b=x}#y=(B(this,gs),B(this,_s,!1));get noBackground(){return this.#y}set noBackground(x){this.#y=x}#M=(B(this,bs),B(this,Ms,!1));get hasThread(){return this.#M}set hasThread(x){this.#M=x}#w=(B(this,ws),B(this,Hs,()=>{}));get dismissMessageClicked(){return this.#w}set dismissMessageClicked(x){this.#w=x}willUpdate(){this.hasThread=Array.from(this.children).some(x=>x.tagName.toLowerCase()==="discord-thread"),this.highlight=this.highlight||Array.from(this.children).some(x=>x.tagName.toLowerCase()==="discord-mention"&&x.hasAttribute("highlight")&&(x.type==="user"||x.type==="role"))}handleSpaceToDismissMessage(x){x.code==="Space"&&(x.preventDefault(),x.stopPropagation(),this.dismissMessageClicked?.())}render(){let x={author:this.author,bot:this.bot,officialApp:this.officialApp,verified:this.verified,server:this.server,op:this.op,roleColor:this.roleColor,roleIcon:this.roleIcon,clanIcon:this.clanIcon,clanTag:this.clanTag,roleName:this.roleName},p=this.profile!==void 0&&Reflect.get(Ia,this.profile)||{},T={...x,...p,avatar:this.resolveAvatar(p.avatar??this.avatar)},nt=at(this.timestamp,this.compactMode,this.twentyFour)??void 0;return m`
			<slot name="reply"></slot>
			<div
				class=${he({"discord-message-inner":!0,"discord-message-inner-center":this.messageBodyOnly})}
			>
				${R(this.compactMode&&!this.messageBodyOnly,()=>m`<time datetime="${q(nt)}" class="discord-message-timestamp">${nt}</time>`,()=>null)}
				${R(this.messageBodyOnly,()=>m`<time
							datetime="${q(nt)}"
							class=${he({"discord-message-timestamp":!0,"discord-message-timestamp-hover":!0,"discord-message-body-only-indent":!this.compactMode})}
						></time>`,()=>null)}
				${R(this.compactMode||this.messageBodyOnly,()=>null,()=>m`<div class="discord-author-avatar">
							<img src="${q(T.avatar)}" alt="${q(T.author)}" />
						</div>`)}

				<div class="discord-message-content">
					${R(this.compactMode||this.messageBodyOnly,()=>null,()=>m`
							<discord-author-info
								author=${T.author??""}
								?bot=${T.bot??!1}
								?server=${T.server??!1}
								?official-app=${T.officialApp??!1}
								?verified=${T.verified??!1}
								?op=${T.op??!1}
								role-color=${T.roleColor??""}
								role-icon=${T.roleIcon??""}
								role-name=${T.roleName??""}
								clan-icon=${T.clanIcon??""}
								clan-tag=${T.clanTag??""}
							></discord-author-info
							><time datetime="${q(nt)}" class="discord-message-timestamp">${nt}</time>
						`)}
					<div class="discord-message-body">
						${R(this.compactMode,()=>m`<discord-author-info
									author=${T.author??""}
									?bot=${T.bot??!1}
									?server=${T.server??!1}
									?official-app=${T.officialApp??!1}
									?verified=${T.verified??!1}
									?op=${T.op??!1}
									role-color=${T.roleColor??""}
									role-icon=${T.roleIcon??""}
									role-name=${T.roleName??""}
									clan-icon=${T.clanIcon??""}
									clan-tag=${T.clanTag??""}
								></discord-author-info>`,()=>null)}<span class="discord-message-markup"><slot></slot></span>
						${R(this.edited,()=>m`<span class="discord-message-edited">(edited)</span>`,()=>null)}
					</div>
					<div class="discord-message-compact-indent">
						<slot name="attachments"></slot>
						<slot name="embeds"></slot>
						<slot name="components"></slot>
						<slot name="reactions"></slot>
						<slot name="thread"></slot>
						${R(this.ephemeral,()=>m`
								<div class="discord-message-ephemeral">
									${Fi()} Only you can see this •
									<span
										role="button"
										class="discord-message-ephemeral-link"
										@click=${this.dismissMessageClicked}
										@keydown=${this.handleSpaceToDismissMessage}
										>Dismiss message</span
									>
								</div>
							`,()=>null)}
					</div>
				</div>
			</div>
		`}resolveAvatar(x){return x===void 0?mi.default:mi[x]??x??mi.default}constructor(){super(...arguments),B(this,$s)}static{B(e,s)}};return ks=e})()});var ot,ge,Zn,qi=w(()=>{O();se();Ge();xe();Pe();ot=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},ge=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},Zn=(()=>{let i=[F("discord-custom-emoji")],t,s=[],e,a=N,h,r=[],c=[],z,f=[],l=[],o,y=[],_=[],g,d=[],n=[],v,V=[],k=[];var L=class extends a{static{e=this}static{let b=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;h=[M()],z=[M()],o=[M({attribute:!1})],g=[M({type:Boolean,attribute:"embed-emoji"})],v=[M({type:Boolean,attribute:"jumbo"})],ot(this,null,h,{kind:"accessor",name:"name",static:!1,private:!1,access:{has:u=>"name"in u,get:u=>u.name,set:(u,j)=>{u.name=j}},metadata:b},r,c),ot(this,null,z,{kind:"accessor",name:"url",static:!1,private:!1,access:{has:u=>"url"in u,get:u=>u.url,set:(u,j)=>{u.url=j}},metadata:b},f,l),ot(this,null,o,{kind:"accessor",name:"customEmojisMap",static:!1,private:!1,access:{has:u=>"customEmojisMap"in u,get:u=>u.customEmojisMap,set:(u,j)=>{u.customEmojisMap=j}},metadata:b},y,_),ot(this,null,g,{kind:"accessor",name:"embedEmoji",static:!1,private:!1,access:{has:u=>"embedEmoji"in u,get:u=>u.embedEmoji,set:(u,j)=>{u.embedEmoji=j}},metadata:b},d,n),ot(this,null,v,{kind:"accessor",name:"jumbo",static:!1,private:!1,access:{has:u=>"jumbo"in u,get:u=>u.jumbo,set:(u,j)=>{u.jumbo=j}},metadata:b},V,k),ot(null,t={value:e},i,{kind:"class",name:e.name,metadata:b},null,s),L=e=t.value,b&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:b})}static styles=U`
		.discord-custom-emoji {
			display: inline-block;
			cursor: pointer;
		}

		.discord-custom-emoji .discord-custom-emoji-image {
			object-fit: contain;
			width: 1.375rem;
			height: 1.375rem;
			vertical-align: bottom;
		}

		.discord-custom-emoji .discord-custom-jumbo-emoji-image {
			width: 3rem;
			height: 3rem;
			min-height: 3rem;
		}

		.discord-embed-custom-emoji {
			display: inline-block;
		}

		.discord-embed-custom-emoji .discord-embed-custom-emoji-image {
			width: 18px;
			height: 18px;
			vertical-align: bottom;
		}
	`;#e=ge(this,r,void 0);get name(){return this.#e}set name(b){this.#e=b}#t=(ge(this,c),ge(this,f,void 0));get url(){return this.#t}set url(b){this.#t=b}#i=(ge(this,l),ge(this,y,{}));get customEmojisMap(){return this.#i}set customEmojisMap(b){this.#i=b}#s=(ge(this,_),ge(this,d,void 0));get embedEmoji(){return this.#s}set embedEmoji(b){this.#s=b}#a=(ge(this,n),ge(this,V,void 0));get jumbo(){return this.#a}set jumbo(b){this.#a=b}willUpdate(){if(!this.url&&this.name){let b=rt(this.name)??this.customEmojisMap[this.name];b&&(this.url??=b.url??"",this.embedEmoji??=b.embedEmoji??!1)}}render(){let b=`:${this.name}:`;return m`<span
			class=${he({"discord-embed-custom-emoji":this.embedEmoji,"discord-custom-emoji":!this.embedEmoji})}
			><img
				aria-label=${b}
				src=${q(this.url)}
				alt=${b}
				draggable="false"
				class=${he({"discord-embed-custom-emoji-image":this.embedEmoji,"discord-custom-emoji-image":!this.embedEmoji,"discord-custom-jumbo-emoji-image":this.jumbo})}
		/></span> `}constructor(){super(...arguments),ge(this,k)}static{ge(e,s)}};return L=e})()});var ce,Y,r4,Qa=w(()=>{me();O();se();Ge();xe();Ui();be();Pe();qi();fe();ce=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},Y=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},r4=(()=>{let i=[F("discord-embed")],t,s=[],e,a=N,h,r=[],c=[],z,f=[],l=[],o,y=[],_=[],g,d=[],n=[],v,V=[],k=[],L,b=[],u=[],j,P=[],A=[],J,oe=[],ne=[],ve,Z=[],S=[],ee,Te=[],Ee=[],Ce,Ve=[],je=[],Ae,Se=[],De=[];var Oe=class extends a{static{e=this}static{let I=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;h=[M()],z=[M({attribute:"author-name"})],o=[M({attribute:"author-image"})],g=[M({attribute:"author-url"})],v=[M({attribute:"embed-title"})],L=[M({attribute:!1})],j=[M()],J=[M()],ve=[M()],ee=[M()],Ce=[M()],Ae=[te({context:ae,subscribe:!0}),M({type:Boolean,reflect:!0,attribute:"light-theme"})],ce(this,null,h,{kind:"accessor",name:"color",static:!1,private:!1,access:{has:$=>"color"in $,get:$=>$.color,set:($,G)=>{$.color=G}},metadata:I},r,c),ce(this,null,z,{kind:"accessor",name:"authorName",static:!1,private:!1,access:{has:$=>"authorName"in $,get:$=>$.authorName,set:($,G)=>{$.authorName=G}},metadata:I},f,l),ce(this,null,o,{kind:"accessor",name:"authorImage",static:!1,private:!1,access:{has:$=>"authorImage"in $,get:$=>$.authorImage,set:($,G)=>{$.authorImage=G}},metadata:I},y,_),ce(this,null,g,{kind:"accessor",name:"authorUrl",static:!1,private:!1,access:{has:$=>"authorUrl"in $,get:$=>$.authorUrl,set:($,G)=>{$.authorUrl=G}},metadata:I},d,n),ce(this,null,v,{kind:"accessor",name:"embedTitle",static:!1,private:!1,access:{has:$=>"embedTitle"in $,get:$=>$.embedTitle,set:($,G)=>{$.embedTitle=G}},metadata:I},V,k),ce(this,null,L,{kind:"accessor",name:"embedEmojisMap",static:!1,private:!1,access:{has:$=>"embedEmojisMap"in $,get:$=>$.embedEmojisMap,set:($,G)=>{$.embedEmojisMap=G}},metadata:I},b,u),ce(this,null,j,{kind:"accessor",name:"url",static:!1,private:!1,access:{has:$=>"url"in $,get:$=>$.url,set:($,G)=>{$.url=G}},metadata:I},P,A),ce(this,null,J,{kind:"accessor",name:"thumbnail",static:!1,private:!1,access:{has:$=>"thumbnail"in $,get:$=>$.thumbnail,set:($,G)=>{$.thumbnail=G}},metadata:I},oe,ne),ce(this,null,ve,{kind:"accessor",name:"image",static:!1,private:!1,access:{has:$=>"image"in $,get:$=>$.image,set:($,G)=>{$.image=G}},metadata:I},Z,S),ce(this,null,ee,{kind:"accessor",name:"video",static:!1,private:!1,access:{has:$=>"video"in $,get:$=>$.video,set:($,G)=>{$.video=G}},metadata:I},Te,Ee),ce(this,null,Ce,{kind:"accessor",name:"provider",static:!1,private:!1,access:{has:$=>"provider"in $,get:$=>$.provider,set:($,G)=>{$.provider=G}},metadata:I},Ve,je),ce(this,null,Ae,{kind:"accessor",name:"lightTheme",static:!1,private:!1,access:{has:$=>"lightTheme"in $,get:$=>$.lightTheme,set:($,G)=>{$.lightTheme=G}},metadata:I},Se,De),ce(null,t={value:e},i,{kind:"class",name:e.name,metadata:I},null,s),Oe=e=t.value,I&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:I})}static styles=U`
		:host {
			color: #dcddde;
			display: flex;
			font-size: 13px;
			line-height: 150%;
			margin-bottom: 8px;
			margin-top: 8px;
		}

		:host([light-theme]) {
			color: #2e3338;
		}

		:host .discord-left-border {
			background-color: #202225;
			border-radius: 4px 0 0 4px;
			flex-shrink: 0;
			width: 4px;
		}

		:host([light-theme]) .discord-left-border {
			background-color: #e3e5e8;
		}

		:host .discord-embed-root {
			display: grid;
			grid-auto-flow: row;
			grid-row-gap: 0.25rem;
			min-height: 0;
			min-width: 0;
			text-indent: 0;
		}

		:host .discord-embed-wrapper {
			background-color: #2f3136;
			max-width: 520px;
			border: 1px solid rgba(46, 48, 54, 0.6);
			border-radius: 0 4px 4px 0;
			justify-self: start;
			align-self: start;
			display: grid;
			box-sizing: border-box;
		}

		:host([light-theme]) .discord-embed-wrapper {
			background-color: rgb(242, 243, 245);
			border-color: rgba(205, 205, 205, 0.3);
		}

		:host .discord-embed-wrapper .discord-embed-grid {
			display: inline-grid;
			grid-template-columns: auto -webkit-min-content;
			grid-template-columns: auto min-content;
			grid-template-columns: auto;
			grid-template-rows: auto;
			padding: 0.5rem 1rem 1rem 0.75rem;
		}

		:host .discord-embed-thumbnail {
			border-radius: 4px;
			flex-shrink: 0;
			grid-column: 2/2;
			grid-row: 1/8;
			justify-self: end;
			margin-left: 16px;
			margin-top: 8px;
			max-height: 80px;
			max-width: 80px;
			object-fit: contain;
			object-position: top center;
		}

		:host .discord-embed-author {
			-webkit-box-align: center;
			align-items: center;
			color: #fff;
			font-size: 14px;
			display: flex;
			font-weight: 600;
			grid-column: 1 / 1;
			margin-top: 8px;
			min-width: 0;
		}

		:host([light-theme]) .discord-embed-author {
			color: #060607;
		}

		:host .discord-embed-author a {
			color: #fff;
			font-weight: 600;
			text-decoration: none;
		}

		:host .discord-embed-author a:hover {
			text-decoration: underline;
		}

		:host([light-theme]) .discord-embed-author a {
			color: #060607;
		}

		:host .discord-embed-author .discord-author-image {
			border-radius: 50%;
			height: 24px;
			margin-right: 8px;
			width: 24px;
		}

		:host .discord-embed-author-block,
		:host .discord-embed-author-block > span {
			max-width: 95%;
		}

		:host .discord-embed-provider {
			font-size: 0.75rem;
			line-height: 1rem;
			font-weight: 400;
			grid-column: 1/1;
			margin-top: 8px;
			unicode-bidi: plaintext;
			text-align: left;
		}

		:host([light-theme]) .discord-embed-provider {
			color: #4f545c;
		}

		:host .discord-embed-title {
			-webkit-box-align: center;
			align-items: center;
			color: #fff;
			display: inline-block;
			font-size: 1rem;
			font-weight: 600;
			grid-column: 1 / 1;
			margin-top: 8px;
			min-width: 0;
		}

		:host([light-theme]) .discord-embed-title {
			color: #060607;
		}

		:host .discord-embed-title a {
			color: #00aff4;
			font-weight: 600;
			text-decoration: none;
		}

		:host .discord-embed-title a:hover {
			text-decoration: underline;
		}

		:host .discord-embed-image {
			border-radius: 4px;
			max-width: 300px;
			max-height: 300px;
		}

		:host .discord-embed-media {
			border-radius: 4px;
			contain: paint;
			display: block;
			grid-column: 1/1;
			margin-top: 16px;
		}

		:host .discord-embed-media.discord-embed-media-video {
			height: 225px;
		}

		:host .discord-embed.media .discord-embed-image {
			overflow: hidden;
			position: relative;
			user-select: text;
		}

		:host .discord-embed-media .discord-embed-video {
			-webkit-box-align: center;
			-webkit-box-pack: center;
			align-items: center;
			border-radius: 0;
			cursor: pointer;
			display: flex;
			height: 100%;
			justify-content: center;
			max-height: 100%;
			width: 100%;

			width: 400px;
			height: 225px;
			left: 0px;
			top: 0px;
		}

		.discord-embed-custom-emoji {
			display: inline-block;
		}

		.discord-embed-custom-emoji .discord-embed-custom-emoji-image {
			width: 18px;
			height: 18px;
			vertical-align: bottom;
		}

		slot[name='footer']::slotted(*) {
			grid-column: 1/3;
			grid-row: auto/auto;
		}
	`;#e=Y(this,r,void 0);get color(){return this.#e}set color(I){this.#e=I}#t=(Y(this,c),Y(this,f,void 0));get authorName(){return this.#t}set authorName(I){this.#t=I}#i=(Y(this,l),Y(this,y,void 0));get authorImage(){return this.#i}set authorImage(I){this.#i=I}#s=(Y(this,_),Y(this,d,void 0));get authorUrl(){return this.#s}set authorUrl(I){this.#s=I}#a=(Y(this,n),Y(this,V,void 0));get embedTitle(){return this.#a}set embedTitle(I){this.#a=I}#r=(Y(this,k),Y(this,b,{}));get embedEmojisMap(){return this.#r}set embedEmojisMap(I){this.#r=I}#o=(Y(this,u),Y(this,P,void 0));get url(){return this.#o}set url(I){this.#o=I}#h=(Y(this,A),Y(this,oe,void 0));get thumbnail(){return this.#h}set thumbnail(I){this.#h=I}#l=(Y(this,ne),Y(this,Z,void 0));get image(){return this.#l}set image(I){this.#l=I}#n=(Y(this,S),Y(this,Te,void 0));get video(){return this.#n}set video(I){this.#n=I}#c=(Y(this,Ee),Y(this,Ve,void 0));get provider(){return this.#c}set provider(I){this.#c=I}#d=(Y(this,je),Y(this,Se,!1));get lightTheme(){return this.#d}set lightTheme(I){this.#d=I}render(){let I=this.parseTitle(this.authorName),$=this.parseTitle(this.embedTitle);return m`<div style=${Tt({"background-color":this.color})} class="discord-left-border"></div>
			<div class="discord-embed-root">
				<div class="discord-embed-wrapper">
					<div class="discord-embed-grid">
						${R(this.provider,()=>m`<div class="discord-embed-provider">${this.provider}</div>`)}
						${R(I,()=>m`<div class="discord-embed-author">
									${R(this.authorImage,()=>m`<img src=${q(this.authorImage)} alt="" class="discord-author-image" />`)}
									${R(this.authorUrl,()=>m`<a
												href=${q(this.authorUrl)}
												target="_blank"
												rel="noopener noreferrer"
												class="discord-embed-author-block"
											>
												<span class="discord-embed-author-block">${I}</span>
											</a>`,()=>m`<span class="discord-embed-author-block">${I}</span>`)}
								</div>`)}
						${R($,()=>m`<div class="discord-embed-title">
									${this.url?m`<a href="${this.url}" target="_blank" rel="noopener noreferrer"> ${$} </a>`:m`${$}`}
								</div>`)}
						<slot name="description"></slot>
						<slot name="fields"></slot>
						${R(this.image||this.video,()=>m`<div class=${he({"discord-embed-media":!0,"discord-embed-media-video":!!this.video})}>
									${this.renderMedia()}
								</div>`)}
						${R(this.thumbnail,()=>m`<img src=${q(this.thumbnail)} alt="" class="discord-embed-thumbnail" />`)}
						<slot name="footer"></slot>
					</div>
				</div>
			</div>`}renderMedia(){return this.video?m`
				<video
					controls
					muted
					preload="none"
					poster=${q(this.image)}
					src=${q(this.video)}
					height="225"
					width="400"
					class="discord-embed-video"
				>
					<img src=${q(this.image)} alt="Discord embed media" class="discord-embed-image" />
				</video>
			`:this.image?m`<img src=${q(this.image)} alt="Discord embed media" class="discord-embed-image" />`:null}parseTitle(I){if(!I)return null;let $=[],G="";for(let D of I.split(`
`)){for(let H of D.split(" ")){let K=rt(H)??this.embedEmojisMap[H]??{};K.name?$.push(m`<discord-custom-emoji name=${K.name} url=${q(K.url)} embed-emoji></discord-custom-emoji>`):G+=`${H} `,G===" "&&$.push(m`<br />`)}$.push(G),G=""}return $.map(D=>typeof D=="string"?m`<span>${D}</span>`:D)}constructor(){super(...arguments),Y(this,De)}static{Y(e,s)}};return Oe=e})()});var Mo,wo,c4,Xa=w(()=>{O();se();Mo=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},wo=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},c4=(()=>{let i=[F("discord-embed-description")],t,s=[],e,a=N;var h=class extends a{static{e=this}static{let r=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;Mo(null,t={value:e},i,{kind:"class",name:e.name,metadata:r},null,s),h=e=t.value,r&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:r})}static styles=U`
		:host {
			font-size: 0.875rem;
			font-weight: 400;
			grid-column: 1/1;
			line-height: 1.125rem;
			margin-top: 8px;
			min-width: 0;
		}
	`;render(){return m`<slot></slot>`}static{wo(e,s)}};return h=e})()});var xo,Ho,p4,Ya=w(()=>{O();se();xo=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},Ho=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},p4=(()=>{let i=[F("discord-embed-fields")],t,s=[],e,a=N;var h=class extends a{static{e=this}static{let r=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;xo(null,t={value:e},i,{kind:"class",name:e.name,metadata:r},null,s),h=e=t.value,r&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:r})}static styles=U`
		:host {
			display: grid;
			grid-column: 1/1;
			margin-top: 8px;
			grid-gap: 8px;
		}

		::slotted([inline-index='1']) {
			grid-column: 1/5 !important;
		}

		::slotted([inline-index='2']) {
			grid-column: 5/9 !important;
		}

		::slotted([inline-index='3']) {
			grid-column: 9/13 !important;
		}
	`;render(){return m`<slot></slot>`}static{Ho(e,s)}};return h=e})()});var ht,ze,$4,er=w(()=>{me();O();se();xe();be();Pe();qi();fe();ht=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},ze=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},$4=(()=>{let i=[F("discord-embed-field")],t,s=[],e,a=N,h,r=[],c=[],z,f=[],l=[],o,y=[],_=[],g,d=[],n=[],v,V=[],k=[];var L=class extends a{static{e=this}static{let b=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;h=[M({reflect:!0,attribute:"field-title"})],z=[M({attribute:!1})],o=[M({type:Boolean,reflect:!0,attribute:"inline"})],g=[M({type:Number,reflect:!0,attribute:"inline-index"})],v=[te({context:ae,subscribe:!0}),M({type:Boolean,reflect:!0,attribute:"light-theme"})],ht(this,null,h,{kind:"accessor",name:"fieldTitle",static:!1,private:!1,access:{has:u=>"fieldTitle"in u,get:u=>u.fieldTitle,set:(u,j)=>{u.fieldTitle=j}},metadata:b},r,c),ht(this,null,z,{kind:"accessor",name:"embedFieldEmojisMap",static:!1,private:!1,access:{has:u=>"embedFieldEmojisMap"in u,get:u=>u.embedFieldEmojisMap,set:(u,j)=>{u.embedFieldEmojisMap=j}},metadata:b},f,l),ht(this,null,o,{kind:"accessor",name:"inline",static:!1,private:!1,access:{has:u=>"inline"in u,get:u=>u.inline,set:(u,j)=>{u.inline=j}},metadata:b},y,_),ht(this,null,g,{kind:"accessor",name:"inlineIndex",static:!1,private:!1,access:{has:u=>"inlineIndex"in u,get:u=>u.inlineIndex,set:(u,j)=>{u.inlineIndex=j}},metadata:b},d,n),ht(this,null,v,{kind:"accessor",name:"lightTheme",static:!1,private:!1,access:{has:u=>"lightTheme"in u,get:u=>u.lightTheme,set:(u,j)=>{u.lightTheme=j}},metadata:b},V,k),ht(null,t={value:e},i,{kind:"class",name:e.name,metadata:b},null,s),L=e=t.value,b&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:b})}static styles=U`
		:host {
			font-size: 0.875rem;
			line-height: 1.125rem;
			min-width: 0;
			font-weight: 400;
			grid-column: 1/13;
			word-break: break-word;
		}

		:host .discord-field-title {
			color: #ffffff;
			font-weight: 600;
			font-size: 0.875rem;
			line-height: 1.125rem;
			min-width: 0;
			margin-bottom: 2px;
		}

		:host .discord-inline-field {
			flex-grow: 1;
			flex-basis: auto;
			min-width: 150px;
		}

		:host([light-theme]) .discord-field-title {
			color: #313338;
		}
	`;#e=ze(this,r,void 0);get fieldTitle(){return this.#e}set fieldTitle(b){this.#e=b}#t=(ze(this,c),ze(this,f,{}));get embedFieldEmojisMap(){return this.#t}set embedFieldEmojisMap(b){this.#t=b}#i=(ze(this,l),ze(this,y,!1));get inline(){return this.#i}set inline(b){this.#i=b}#s=(ze(this,_),ze(this,d,void 0));get inlineIndex(){return this.#s}set inlineIndex(b){this.#s=b}#a=(ze(this,n),ze(this,V,!1));get lightTheme(){return this.#a}set lightTheme(b){this.#a=b}validInlineIndices=(ze(this,k),new Set([1,2,3]));checkInlineIndex(){if(this.inlineIndex){let b=Number(this.inlineIndex);if(!Number.isNaN(b)&&!this.validInlineIndices.has(b))throw new RangeError("DiscordEmbedField `inlineIndex` prop must be one of: 1, 2, or 3")}}render(){this.checkInlineIndex();let b=this.parseTitle(this.fieldTitle),u=R(b,()=>m`<div class="discord-field-title">${[...b]}</div>`);return m`${u}<slot></slot>`}parseTitle(b){if(!b)return null;let u=[],j="";for(let P of b.split(`
`)){for(let A of P.split(" ")){let J=rt(A)??this.embedFieldEmojisMap[A]??{};J.name?u.push(m`<discord-custom-emoji name=${J.name} url=${q(J.url)} embed-emoji></discord-custom-emoji>`):j+=`${A} `,j===" "&&u.push(m`<br />`)}u.push(j),j=""}return u.map(P=>typeof P=="string"?m`<span>${P}</span>`:P)}static{ze(e,s)}};return L=e})()});var Et,He,O4,tr=w(()=>{me();O();se();xe();be();Pe();fe();Et=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},He=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},O4=(()=>{let i=[F("discord-embed-footer")],t,s=[],e,a=N,h,r=[],c=[],z,f=[],l=[],o,y=[],_=[],g,d=[],n=[];var v=class extends a{static{e=this}static{let V=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;h=[M({attribute:"footer-image"})],z=[M({attribute:"footer-image-alt"})],o=[M({type:String,reflect:!0,converter:k=>at(k),attribute:!0})],g=[te({context:ae,subscribe:!0}),M({type:Boolean,reflect:!0,attribute:"light-theme"})],Et(this,null,h,{kind:"accessor",name:"footerImage",static:!1,private:!1,access:{has:k=>"footerImage"in k,get:k=>k.footerImage,set:(k,L)=>{k.footerImage=L}},metadata:V},r,c),Et(this,null,z,{kind:"accessor",name:"footerImageAlt",static:!1,private:!1,access:{has:k=>"footerImageAlt"in k,get:k=>k.footerImageAlt,set:(k,L)=>{k.footerImageAlt=L}},metadata:V},f,l),Et(this,null,o,{kind:"accessor",name:"timestamp",static:!1,private:!1,access:{has:k=>"timestamp"in k,get:k=>k.timestamp,set:(k,L)=>{k.timestamp=L}},metadata:V},y,_),Et(this,null,g,{kind:"accessor",name:"lightTheme",static:!1,private:!1,access:{has:k=>"lightTheme"in k,get:k=>k.lightTheme,set:(k,L)=>{k.lightTheme=L}},metadata:V},d,n),Et(null,t={value:e},i,{kind:"class",name:e.name,metadata:V},null,s),v=e=t.value,V&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:V})}static styles=U`
		:host {
			-webkit-box-align: center;
			align-items: center;
			display: flex;
			font-size: 12px;
			line-height: 16px;
			font-weight: 500;
			margin-top: 8px;
		}

		:host([light-theme]) {
			color: #747f8d;
		}

		:host .discord-footer-image {
			border-radius: 50%;
			flex-shrink: 0;
			height: 20px;
			margin-right: 8px;
			width: 20px;
		}

		:host .discord-footer-separator {
			color: #dcddde;
			font-weight: 500;
			display: inline-block;
			margin: 0 4px;
		}

		:host([light-theme]) .discord-footer-separator {
			color: #5c5e66;
		}
	`;#e=He(this,r,void 0);get footerImage(){return this.#e}set footerImage(V){this.#e=V}#t=(He(this,c),He(this,f,void 0));get footerImageAlt(){return this.#t}set footerImageAlt(V){this.#t=V}#i=(He(this,l),He(this,y,void 0));get timestamp(){return this.#i}set timestamp(V){this.#i=V}#s=(He(this,_),He(this,d,!1));get lightTheme(){return this.#s}set lightTheme(V){this.#s=V}updateTimestamp(V){V&&!Number.isNaN(new Date(V).getTime())&&(this.timestamp=at(V))}render(){return this.updateTimestamp(this.timestamp),m`${R(this.footerImage,()=>m`<img src=${q(this.footerImage)} alt=${q(this.footerImageAlt)} class="discord-footer-image" />`)}
			<slot></slot>
			${R(this.timestamp,()=>m`<span class="discord-footer-separator">&bull;</span>`)}
			${R(this.timestamp,()=>` ${this.timestamp}`,()=>null)}`}constructor(){super(...arguments),He(this,n)}static{He(e,s)}};return v=e})()});var $o,ko,L4,ir=w(()=>{O();se();$o=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},ko=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},L4=(()=>{let i=[F("discord-attachments")],t,s=[],e,a=N;var h=class extends a{static{e=this}static{let r=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;$o(null,t={value:e},i,{kind:"class",name:e.name,metadata:r},null,s),h=e=t.value,r&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:r})}static styles=U`
		:host {
			display: grid;
			grid-auto-flow: row;
			grid-row-gap: 0.25rem;
			text-indent: 0;
			min-height: 0;
			min-width: 0;
			padding-top: 0.125rem;
			padding-bottom: 0.125rem;
			position: relative;
		}

		:host > * {
			justify-self: start;
			-ms-flex-item-align: start;
			align-self: start;
		}
	`;render(){return m`<slot></slot>`}static{ko(e,s)}};return h=e})()});var To,Eo,Z4,sr=w(()=>{O();se();To=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},Eo=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},Z4=(()=>{let i=[F("discord-action-row")],t,s=[],e,a=N;var h=class extends a{static{e=this}static{let r=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;To(null,t={value:e},i,{kind:"class",name:e.name,metadata:r},null,s),h=e=t.value,r&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:r})}static styles=U`
		:host {
			display: flex;
			flex-wrap: wrap;
		}
	`;render(){return m`<slot></slot>`}static{Eo(e,s)}};return h=e})()});function Zi(i={}){return m`<svg ${C(i)} class="discord-button-launch" aria-hidden="false" width="16" height="16" viewBox="0 0 24 24">
		${Co}
	</svg>`}var Co,ar=w(()=>{O();W();Co=E`
	<path
		fill="currentColor"
		d="M10 5V3H5.375C4.06519 3 3 4.06519 3 5.375V18.625C3 19.936 4.06519 21 5.375 21H18.625C19.936 21 21 19.936 21 18.625V14H19V19H5V5H10Z"
	/>
	<path fill="currentColor" d="M21 2.99902H14V4.99902H17.586L9.29297 13.292L10.707 14.706L19 6.41302V9.99902H21V2.99902Z"
	/>
`});var Ke,de,ac,rr=w(()=>{O();se();Ge();be();Pe();ar();Ke=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},de=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},ac=(()=>{let i=[F("discord-button")],t,s=[],e,a=N,h,r=[],c=[],z,f=[],l=[],o,y=[],_=[],g,d=[],n=[],v,V=[],k=[],L,b=[],u=[];var j=class extends a{static{e=this}static{let P=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;h=[M({reflect:!0,attribute:"emoji"})],z=[M({reflect:!0,attribute:"emoji-name"})],o=[M({reflect:!0,attribute:"url"})],g=[M({type:Boolean,reflect:!0,attribute:"disabled"})],v=[M({reflect:!0,attribute:"type"})],L=[M({reflect:!0,attribute:"modal-id"})],Ke(this,null,h,{kind:"accessor",name:"emoji",static:!1,private:!1,access:{has:A=>"emoji"in A,get:A=>A.emoji,set:(A,J)=>{A.emoji=J}},metadata:P},r,c),Ke(this,null,z,{kind:"accessor",name:"emojiName",static:!1,private:!1,access:{has:A=>"emojiName"in A,get:A=>A.emojiName,set:(A,J)=>{A.emojiName=J}},metadata:P},f,l),Ke(this,null,o,{kind:"accessor",name:"url",static:!1,private:!1,access:{has:A=>"url"in A,get:A=>A.url,set:(A,J)=>{A.url=J}},metadata:P},y,_),Ke(this,null,g,{kind:"accessor",name:"disabled",static:!1,private:!1,access:{has:A=>"disabled"in A,get:A=>A.disabled,set:(A,J)=>{A.disabled=J}},metadata:P},d,n),Ke(this,null,v,{kind:"accessor",name:"type",static:!1,private:!1,access:{has:A=>"type"in A,get:A=>A.type,set:(A,J)=>{A.type=J}},metadata:P},V,k),Ke(this,null,L,{kind:"accessor",name:"modalId",static:!1,private:!1,access:{has:A=>"modalId"in A,get:A=>A.modalId,set:(A,J)=>{A.modalId=J}},metadata:P},b,u),Ke(null,t={value:e},i,{kind:"class",name:e.name,metadata:P},null,s),j=e=t.value,P&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:P})}static styles=U`
		:host > *:first-child {
			display: flex;
			justify-content: center;
			align-items: center;
			cursor: pointer;
			margin: 4px 8px 4px 0;
			padding: 2px 16px;
			width: auto;
			height: 32px;
			min-width: 60px;
			min-height: 32px;
			-webkit-transition:
				background-color 0.17s ease,
				color 0.17s ease;
			transition:
				background-color 0.17s ease,
				color 0.17s ease;
			border-radius: 3px;
			font-size: 14px;
			font-weight: 500;
			line-height: 16px;
			text-decoration: none !important;
			/* CSS Reset to unset button styling */
			border-width: unset;
			border-style: unset;
			border-color: unset;
			border-image: unset;
			box-sizing: unset;
			font-family: 'gg sans', 'Noto Sans', Whitney, 'Helvetica Neue', Helvetica, Roboto, Arial, sans-serif;
		}

		.success {
			color: #fff;
			background-color: #3ba55d;
		}

		.success.hoverable:hover {
			background-color: #2d7d46;
		}

		.destructive {
			color: #fff;
			background-color: #ed4245;
		}

		.destructive.hoverable:hover {
			background-color: #c03537;
		}

		.primary {
			color: #fff;
			background-color: #5865f2;
		}

		.primary.hoverable:hover {
			background-color: #4752c4;
		}

		.secondary {
			color: #fff;
			background-color: #4f545c;
		}

		.secondary.hoverable:hover {
			background-color: #5d6269;
		}

		.disabled {
			cursor: not-allowed !important;
			opacity: 0.5;
		}

		.launch {
			margin-left: 8px;
		}

		.emoji {
			margin-right: 4px;
			object-fit: contain;
			width: 1.375em;
			height: 1.375em;
			vertical-align: bottom;
		}
	`;#e=de(this,r,void 0);get emoji(){return this.#e}set emoji(P){this.#e=P}#t=(de(this,c),de(this,f,"emoji"));get emojiName(){return this.#t}set emojiName(P){this.#t=P}#i=(de(this,l),de(this,y,void 0));get url(){return this.#i}set url(P){this.#i=P}#s=(de(this,_),de(this,d,!1));get disabled(){return this.#s}set disabled(P){this.#s=P}#a=(de(this,n),de(this,V,"secondary"));get type(){return this.#a}set type(P){this.#a=P}#r=(de(this,k),de(this,b,void 0));get modalId(){return this.#r}set modalId(P){this.#r=P}validButtonTypes=(de(this,u),new Set(["primary","secondary","success","destructive"]));checkType(){if(this.type){if(typeof this.type!="string")throw new TypeError("DiscordButton `type` prop must be a string.");if(!this.validButtonTypes.has(this.type))throw new RangeError("DiscordButton `type` prop must be one of: 'primary', 'secondary', 'success', 'destructive'")}}checkParentElement(){if(this.parentElement?.tagName.toLowerCase()!=="discord-action-row")throw new vi("All <discord-button> components must be direct children of <discord-action-row>.")}handleButtonClick(){if(this.modalId){let P=this.parentElement?.parentElement?.parentElement?.parentElement;if(P?.tagName?.toLowerCase()==="discord-messages"){let A=P?.querySelector("discord-modal"),J=A?.shadowRoot?.querySelector(`dialog#${this.modalId}`),oe=J?.querySelector("div.discord-modal-box");if(J instanceof HTMLDialogElement&&oe instanceof HTMLDivElement&&(J.showModal(),oe.style.display="flex",A)){let ne=globalThis.getComputedStyle(globalThis.document.body).overflow;A.originalBodyOverflow=ne,globalThis.document.body.style.overflow="hidden"}}}}render(){this.checkType(),this.checkParentElement();let P=this.url&&!this.disabled,A=m`
			${R(this.emoji,()=>m`<img src=${this.emoji} alt=${this.emojiName} draggable="true" class="emoji" />`)}
			<span>
				<slot></slot>
			</span>
			${R(this.url,()=>Zi())}
		`;return P?m`<a class="secondary" href=${this.url} target="_blank" rel="noopener noreferrer">${A}</a>`:m`<button
			class=${he({[this.type]:!0,disabled:this.disabled,hoverable:!this.disabled})}
			@click=${this.handleButtonClick}
		>
			${A}
		</button>`}static{de(e,s)}};return j=e})()});var Vo,jo,nc,or=w(()=>{O();se();Vo=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},jo=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},nc=(()=>{let i=[F("discord-bold")],t,s=[],e,a=N;var h=class extends a{static{e=this}static{let r=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;Vo(null,t={value:e},i,{kind:"class",name:e.name,metadata:r},null,s),h=e=t.value,r&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:r})}static styles=U`
		:host > strong {
			font-weight: 700;
		}
	`;render(){return m`
			<strong>
				<slot></slot>
			</strong>
		`}static{jo(e,s)}};return h=e})()});var Ao,So,vc,hr=w(()=>{O();se();Ao=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},So=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},vc=(()=>{let i=[F("discord-italic")],t,s=[],e,a=N;var h=class extends a{static{e=this}static{let r=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;Ao(null,t={value:e},i,{kind:"class",name:e.name,metadata:r},null,s),h=e=t.value,r&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:r})}static styles=U`
		:host > em {
			font-style: italic;
		}
	`;render(){return m`
			<em>
				<slot></slot>
			</em>
		`}static{So(e,s)}};return h=e})()});var pi,Je,yc,lr=w(()=>{me();O();se();fe();pi=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},Je=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},yc=(()=>{let i=[F("discord-code")],t,s=[],e,a=N,h,r=[],c=[],z,f=[],l=[],o,y=[],_=[];var g=class extends a{static{e=this}static{let d=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;h=[M({type:Boolean,reflect:!0})],z=[te({context:ae,subscribe:!0}),M({type:Boolean,reflect:!0,attribute:"light-theme"})],o=[M({type:Boolean,reflect:!0})],pi(this,null,h,{kind:"accessor",name:"multiline",static:!1,private:!1,access:{has:n=>"multiline"in n,get:n=>n.multiline,set:(n,v)=>{n.multiline=v}},metadata:d},r,c),pi(this,null,z,{kind:"accessor",name:"lightTheme",static:!1,private:!1,access:{has:n=>"lightTheme"in n,get:n=>n.lightTheme,set:(n,v)=>{n.lightTheme=v}},metadata:d},f,l),pi(this,null,o,{kind:"accessor",name:"embed",static:!1,private:!1,access:{has:n=>"embed"in n,get:n=>n.embed,set:(n,v)=>{n.embed=v}},metadata:d},y,_),pi(null,t={value:e},i,{kind:"class",name:e.name,metadata:d},null,s),g=e=t.value,d&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:d})}static styles=U`
		:host {
			background-color: #2f3136;
			white-space: break-spaces;
			font-family:
				Consolas,
				Andale Mono WT,
				Andale Mono,
				Lucida Console,
				Lucida Sans Typewriter,
				DejaVu Sans Mono,
				Bitstream Vera Sans Mono,
				Liberation Mono,
				Nimbus Mono L,
				Monaco,
				Courier New,
				Courier,
				monospace;
			border-radius: 3px;
		}

		code {
			padding: 0.2em;
			margin: -0.2em;
			border-radius: 3px;
			border: none;
			font-size: 85%;
			text-indent: 0;
			white-space: pre-wrap;
		}

		:host([multiline]) code {
			display: block;
			width: 90%;
			font-size: 0.875rem;
			line-height: 1.125rem;
			padding: 0.5em;
			background: #2b2d31;
			border: 1px solid #1e1f22;
		}

		:host([embed]) code {
			background-color: #1e1f22;
		}

		:host([embed][multiline]) code {
			display: block;
			width: 100%;
			padding: 7px;
			border-radius: 4px;
			background: #1e1f22;
		}

		:host([light-theme]) code {
			border-color: #e3e5e8;
			background-color: #f2f3f5;
		}

		:host([light-theme][embed]) code {
			background-color: #e3e5e8;
		}
	`;#e=Je(this,r,!1);get multiline(){return this.#e}set multiline(d){this.#e=d}#t=(Je(this,c),Je(this,f,!1));get lightTheme(){return this.#t}set lightTheme(d){this.#t=d}#i=(Je(this,l),Je(this,y,!1));get embed(){return this.#i}set embed(d){this.#i=d}render(){return this.multiline?m`<discord-pre ?embed=${this.embed}
				><code><slot></slot></code
			></discord-pre>`:m`<code><slot></slot></code>`}constructor(){super(...arguments),Je(this,_)}static{Je(e,s)}};return g=e})()});var nr,cr=w(()=>{nr=(i,t,s)=>{for(let e of t)if(e[0]===i)return(0,e[1])();return s?.()}});var dr=w(()=>{cr()});function Do(i){return i.startsWith("#")?i.slice(1):i}function Oo(i){let t=i.length===3||i.length===4,s=t?`${i.slice(0,1)}${i.slice(0,1)}`:i.slice(0,2),e=t?`${i.slice(1,2)}${i.slice(1,2)}`:i.slice(2,4),a=t?`${i.slice(2,3)}${i.slice(2,3)}`:i.slice(4,6),h=(t?`${i.slice(3,4)}${i.slice(3,4)}`:i.slice(6,8))||"ff";return{r:s,g:e,b:a,a:h}}function ui(i){return Number.parseInt(i,16)}function Io({r:i,g:t,b:s,a:e}){return{r:ui(i),g:ui(t),b:ui(s),a:Number((ui(e)/255).toFixed(2))}}function Bo(i){return typeof i=="number"||typeof i=="string"&&Number.isFinite(Number(i))}function Po(i,t){let{r:s,g:e,b:a,a:h}=i,r=Bo(t)?t:h;return`rgba(${s}, ${e}, ${a}, ${r})`}function gi(i,t){let s=Do(i),e=Oo(s),a=Io(e);return Po(a,t)}var mr=w(()=>{});function Wi(i={}){return m`<svg
		${C(i)}
		class="discord-mention-icon"
		aria-label="Browse Channels"
		aria-hidden="false"
		role="img"
		width="24"
		height="24"
		viewBox="0 0 24 24"
		xmlns="http://www.w3.org/2000/svg"
	>
		${No}
	</svg>`}var No,fr=w(()=>{O();W();No=E`
	<path
		fill-rule="evenodd"
		clip-rule="evenodd"
		fill="currentColor"
		d="M18.5 23c.88 0 1.7-.25 2.4-.69l1.4 1.4a1 1 0 0 0 1.4-1.42l-1.39-1.4A4.5 4.5 0 1 0 18.5 23Zm0-2a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z"
	/>
	<path
		fill="currentColor"
		d="M3 3a1 1 0 0 0 0 2h18a1 1 0 1 0 0-2H3ZM2 8a1 1 0 0 1 1-1h18a1 1 0 1 1 0 2H3a1 1 0 0 1-1-1ZM3 11a1 1 0 1 0 0 2h11a1 1 0 1 0 0-2H3ZM2 16a1 1 0 0 1 1-1h8a1 1 0 1 1 0 2H3a1 1 0 0 1-1-1ZM3 19a1 1 0 1 0 0 2h8a1 1 0 1 0 0-2H3Z"
	/>
`});function Gi(i={}){return m`<svg
		${C(i)}
		class="discord-mention-icon"
		aria-label="Customise Community"
		aria-hidden="false"
		role="img"
		width="24"
		height="24"
		viewBox="0 0 24 24"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Lo}
	</svg>`}var Lo,vr=w(()=>{O();W();Lo=E`
	<path
		fill="currentColor"
		d="M21.487 5.126L12.487 0.126C12.184 -0.042 11.818 -0.042 11.515 0.126L2.51498 5.126C2.19798 5.302 2.00098 5.636 2.00098 5.999C2.00098 6.693 2.11498 22.999 12.001 22.999C21.887 22.999 22.001 6.693 22.001 5.999C22.001 5.636 21.804 5.302 21.487 5.126ZM12.001 5.999C13.382 5.999 14.501 7.118 14.501 8.499C14.501 9.88 13.382 10.999 12.001 10.999C10.62 10.999 9.50098 9.88 9.50098 8.499C9.50098 7.118 10.62 5.999 12.001 5.999ZM8.25098 16C8.25098 13.699 9.69998 12.25 12.001 12.25C14.302 12.25 15.751 13.699 15.751 16H8.25098Z"
	/>
`});function Ki(i={}){return m`<svg
		${C(i)}
		class="discord-mention-icon"
		aria-label="Server Guide"
		aria-hidden="false"
		role="img"
		width="24"
		height="24"
		viewBox="0 0 24 24"
		xmlns="http://www.w3.org/2000/svg"
	>
		${Ro}
	</svg>`}var Ro,pr=w(()=>{O();W();Ro=E`
	<path
		d="M11 3a1 1 0 1 1 2 0v2h5.75c.16 0 .3.07.4.2l2.63 3.5a.5.5 0 0 1 0 .6l-2.63 3.5a.5.5 0 0 1-.4.2H13v5h2a2 2 0 0 1 2 2v1a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1v-1c0-1.1.9-2 2-2h2v-5H2.8a.5.5 0 0 1-.44-.72L3.9 9.22a.5.5 0 0 0 0-.44L2.36 5.72A.5.5 0 0 1 2.81 5H11V3Z"
		fill="currentColor"
	/>
`});var Ct,$e,Qc,ur=w(()=>{me();O();se();dr();mr();fe();Di();Oi();Ii();fr();vr();Bi();pr();Pi();Ct=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},$e=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},Qc=(()=>{let i=[F("discord-mention")],t,s=[],e,a=N,h,r=[],c=[],z,f=[],l=[],o,y=[],_=[],g,d=[],n=[];var v=class extends a{static{e=this}static{let V=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;h=[M({type:Boolean,reflect:!0})],z=[M({reflect:!0})],o=[M({reflect:!0})],g=[te({context:ae,subscribe:!0}),M({type:Boolean,reflect:!0,attribute:"light-theme"})],Ct(this,null,h,{kind:"accessor",name:"highlight",static:!1,private:!1,access:{has:k=>"highlight"in k,get:k=>k.highlight,set:(k,L)=>{k.highlight=L}},metadata:V},r,c),Ct(this,null,z,{kind:"accessor",name:"type",static:!1,private:!1,access:{has:k=>"type"in k,get:k=>k.type,set:(k,L)=>{k.type=L}},metadata:V},f,l),Ct(this,null,o,{kind:"accessor",name:"color",static:!1,private:!1,access:{has:k=>"color"in k,get:k=>k.color,set:(k,L)=>{k.color=L}},metadata:V},y,_),Ct(this,null,g,{kind:"accessor",name:"lightTheme",static:!1,private:!1,access:{has:k=>"lightTheme"in k,get:k=>k.lightTheme,set:(k,L)=>{k.lightTheme=L}},metadata:V},d,n),Ct(null,t={value:e},i,{kind:"class",name:e.name,metadata:V},null,s),v=e=t.value,V&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:V})}static styles=U`
		:host {
			color: #e3e7f8;
			background-color: hsla(235, 85.6%, 64.7%, 0.3);
			font-weight: 500;
			padding: 0 2px;
			border-radius: 3px;
			unicode-bidi: -moz-plaintext;
			unicode-bidi: plaintext;
			-webkit-transition:
				background-color 50ms ease-out,
				color 50ms ease-out;
			transition:
				background-color 50ms ease-out,
				color 50ms ease-out;
			cursor: pointer;
		}

		:host([type='role']) {
			background-color: rgba(#e3e7f8, 0.1);
		}

		:host([type='channel']) {
			position: relative;
		}

		:host([type='voice']),
		:host([type='locked']),
		:host([type='thread']),
		:host([type='forum']) {
			position: relative;
		}

		:host(:hover) {
			color: #fff;
			background-color: hsl(235, 85.6%, 64.7%);
		}

		:host([highlight][type='user']:hover) {
			text-decoration: underline;
			text-underline-offset: 1px;
		}

		:host([light-theme]) {
			color: #5865f2;
			background-color: hsla(235, 85.6%, 64.7%, 0.15);
		}

		:host([light-theme]:hover) {
			color: #ffffff;
			background-color: hsl(235, 85.6%, 64.7%);
		}

		.discord-mention-icon {
			width: 1rem;
			height: 1rem;
			margin-right: 4px;
			vertical-align: middle;
			margin-bottom: 0.2rem;
		}

		.no-wrap {
			white-space: nowrap;
		}
	`;#e=$e(this,r,!1);get highlight(){return this.#e}set highlight(V){this.#e=V}#t=($e(this,c),$e(this,f,"user"));get type(){return this.#t}set type(V){this.#t=V}#i=($e(this,l),$e(this,y,void 0));get color(){return this.#i}set color(V){this.#i=V}setHoverColor=($e(this,_),()=>{this.color&&(this.style.backgroundColor=gi(this.color,.3))});resetHoverColor=()=>{this.color&&(this.style.backgroundColor=gi(this.color,.1))};#s=$e(this,d,!1);get lightTheme(){return this.#s}set lightTheme(V){this.#s=V}connectedCallback(){super.connectedCallback(),this.color&&this.type==="role"&&(this.addEventListener("mouseover",this.setHoverColor),this.addEventListener("mouseout",this.resetHoverColor))}disconnectedCallback(){this.removeEventListener("mouseover",this.setHoverColor),this.removeEventListener("mouseout",this.resetHoverColor),super.disconnectedCallback()}willUpdate(){this.color&&(this.style.color=this.color,this.type==="role"&&(this.style.backgroundColor=gi(this.color,.1)))}render(){return m`<span class="no-wrap"
				>${nr(this.type,[["channel",()=>Mt()],["user",()=>m`@`],["role",()=>m`@`],["voice",()=>Ht()],["locked",()=>xt()],["thread",()=>wt()],["forum",()=>yt()],["server-guide",()=>Ki()],["channels-and-roles",()=>Wi()],["customize-community",()=>Gi()],["slash",()=>m`/`]])}</span
			><slot></slot>`}constructor(){super(...arguments),$e(this,n)}static{$e(e,s)}};return v=e})()});var lt,_e,od,gr=w(()=>{me();O();se();Ge();xe();fe();lt=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},_e=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},od=(()=>{let i=[F("discord-link")],t,s=[],e,a=N,h,r=[],c=[],z,f=[],l=[],o,y=[],_=[],g,d=[],n=[],v,V=[],k=[];var L=class extends a{static{e=this}static{let b=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;h=[te({context:ae,subscribe:!0}),M({type:Boolean,reflect:!0,attribute:"light-theme"})],z=[M()],o=[M()],g=[M()],v=[M()],lt(this,null,h,{kind:"accessor",name:"lightTheme",static:!1,private:!1,access:{has:u=>"lightTheme"in u,get:u=>u.lightTheme,set:(u,j)=>{u.lightTheme=j}},metadata:b},r,c),lt(this,null,z,{kind:"accessor",name:"href",static:!1,private:!1,access:{has:u=>"href"in u,get:u=>u.href,set:(u,j)=>{u.href=j}},metadata:b},f,l),lt(this,null,o,{kind:"accessor",name:"rel",static:!1,private:!1,access:{has:u=>"rel"in u,get:u=>u.rel,set:(u,j)=>{u.rel=j}},metadata:b},y,_),lt(this,null,g,{kind:"accessor",name:"target",static:!1,private:!1,access:{has:u=>"target"in u,get:u=>u.target,set:(u,j)=>{u.target=j}},metadata:b},d,n),lt(this,null,v,{kind:"accessor",name:"type",static:!1,private:!1,access:{has:u=>"type"in u,get:u=>u.type,set:(u,j)=>{u.type=j}},metadata:b},V,k),lt(null,t={value:e},i,{kind:"class",name:e.name,metadata:b},null,s),L=e=t.value,b&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:b})}static styles=U`
		a {
			color: #00aff4;
			text-decoration: none;
		}

		a:hover {
			text-decoration: underline;
		}

		.discord-link-light-theme a {
			color: #00b0f4;
		}
	`;#e=_e(this,r,!1);get lightTheme(){return this.#e}set lightTheme(b){this.#e=b}#t=(_e(this,c),_e(this,f,void 0));get href(){return this.#t}set href(b){this.#t=b}#i=(_e(this,l),_e(this,y,void 0));get rel(){return this.#i}set rel(b){this.#i=b}#s=(_e(this,_),_e(this,d,void 0));get target(){return this.#s}set target(b){this.#s=b}#a=(_e(this,n),_e(this,V,void 0));get type(){return this.#a}set type(b){this.#a=b}render(){return m`<a
			href=${q(this.href)}
			rel=${q(this.rel)}
			target=${q(this.target)}
			type=${q(this.type)}
			class=${he({"discord-link-light-theme":this.lightTheme})}
			><slot></slot
		></a>`}constructor(){super(...arguments),_e(this,k)}static{_e(e,s)}};return L=e})()});function Ji(i={}){return m`<svg
		${C(i)}
		class="discord-icon-download"
		aria-hidden="true"
		role="img"
		xmlns="http://www.w3.org/2000/svg"
		width="20"
		height="20"
		fill="none"
		viewBox="0 0 24 24"
	>
		${Uo}
	</svg>`}var Uo,zr=w(()=>{O();W();Uo=E`
	<path
		fill="currentColor"
		d="M12 2a1 1 0 0 1 1 1v10.59l3.3-3.3a1 1 0 1 1 1.4 1.42l-5 5a1 1 0 0 1-1.4 0l-5-5a1 1 0 1 1 1.4-1.42l3.3 3.3V3a1 1 0 0 1 1-1ZM3 20a1 1 0 1 0 0 2h18a1 1 0 1 0 0-2H3Z"
	/>
`});function Qi(i={}){return m`<svg ${C(i)} aria-hidden="false" fill="none" width="72" height="96" viewBox="0 0 72 96">${Fo}</svg>`}var Fo,_r=w(()=>{O();W();Fo=E`
	<path
	fill="#939bf9"
	d="m72 29.3v60.3c0 2.24 0 3.36-.44 4.22-.38.74-1 1.36-1.74 1.74-.86.44-1.98.44-4.22.44h-59.2c-2.24 0-3.36 0-4.22-.44-.74-.38-1.36-1-1.74-1.74-.44-.86-.44-1.98-.44-4.22v-83.2c0-2.24 0-3.36.44-4.22.38-.74 1-1.36 1.74-1.74.86-.44 1.98-.44 4.22-.44h36.3c1.96 0 2.94 0 3.86.22.5.12.98.28 1.44.5v16.88c0 2.24 0 3.36.44 4.22.38.74 1 1.36 1.74 1.74.86.44 1.98.44 4.22.44h16.88c.22.46.38.94.5 1.44.22.92.22 1.9.22 3.86z" fill="#d3d6fd"/><path d="m68.26 20.26c1.38 1.38 2.06 2.06 2.56 2.88.18.28.32.56.46.86h-16.88c-2.24 0-3.36 0-4.22-.44-.74-.38-1.36-1-1.74-1.74-.44-.86-.44-1.98-.44-4.22v-16.880029c.3.14.58.28.86.459999.82.5 1.5 1.18 2.88 2.56z" />
`});var ke,re,Hd,br=w(()=>{me();O();se();Ge();xe();be();gr();fe();zr();_r();ke=function(i,t,s,e,a,h){function r(v){if(v!==void 0&&typeof v!="function")throw new TypeError("Function expected");return v}for(var c=e.kind,z=c==="getter"?"get":c==="setter"?"set":"value",f=!t&&i?e.static?i:i.prototype:null,l=t||(f?Object.getOwnPropertyDescriptor(f,e.name):{}),o,y=!1,_=s.length-1;_>=0;_--){var g={};for(var d in e)g[d]=d==="access"?{}:e[d];for(var d in e.access)g.access[d]=e.access[d];g.addInitializer=function(v){if(y)throw new TypeError("Cannot add initializers after decoration has completed");h.push(r(v||null))};var n=(0,s[_])(c==="accessor"?{get:l.get,set:l.set}:l[z],g);if(c==="accessor"){if(n===void 0)continue;if(n===null||typeof n!="object")throw new TypeError("Object expected");(o=r(n.get))&&(l.get=o),(o=r(n.set))&&(l.set=o),(o=r(n.init))&&a.unshift(o)}else(o=r(n))&&(c==="field"?a.unshift(o):l[z]=o)}f&&Object.defineProperty(f,e.name,l),y=!0},re=function(i,t,s){for(var e=arguments.length>2,a=0;a<t.length;a++)s=e?t[a].call(i,s):t[a].call(i);return e?s:void 0},Hd=(()=>{let i=[F("discord-file-attachment")],t,s=[],e,a=N,h,r=[],c=[],z,f=[],l=[],o,y=[],_=[],g,d=[],n=[],v,V=[],k=[],L,b=[],u=[],j,P=[],A=[],J,oe=[],ne=[];var ve=class extends a{static{e=this}static{let Z=typeof Symbol=="function"&&Symbol.metadata?Object.create(a[Symbol.metadata]??null):void 0;h=[M()],z=[M({type:Number})],o=[M({attribute:"bytes-unit"})],g=[M()],v=[M()],L=[M()],j=[M()],J=[te({context:ae,subscribe:!0}),M({type:Boolean,reflect:!0,attribute:"light-theme"})],ke(this,null,h,{kind:"accessor",name:"name",static:!1,private:!1,access:{has:S=>"name"in S,get:S=>S.name,set:(S,ee)=>{S.name=ee}},metadata:Z},r,c),ke(this,null,z,{kind:"accessor",name:"bytes",static:!1,private:!1,access:{has:S=>"bytes"in S,get:S=>S.bytes,set:(S,ee)=>{S.bytes=ee}},metadata:Z},f,l),ke(this,null,o,{kind:"accessor",name:"bytesUnit",static:!1,private:!1,access:{has:S=>"bytesUnit"in S,get:S=>S.bytesUnit,set:(S,ee)=>{S.bytesUnit=ee}},metadata:Z},y,_),ke(this,null,g,{kind:"accessor",name:"href",static:!1,private:!1,access:{has:S=>"href"in S,get:S=>S.href,set:(S,ee)=>{S.href=ee}},metadata:Z},d,n),ke(this,null,v,{kind:"accessor",name:"rel",static:!1,private:!1,access:{has:S=>"rel"in S,get:S=>S.rel,set:(S,ee)=>{S.rel=ee}},metadata:Z},V,k),ke(this,null,L,{kind:"accessor",name:"target",static:!1,private:!1,access:{has:S=>"target"in S,get:S=>S.target,set:(S,ee)=>{S.target=ee}},metadata:Z},b,u),ke(this,null,j,{kind:"accessor",name:"type",static:!1,private:!1,access:{has:S=>"type"in S,get:S=>S.type,set:(S,ee)=>{S.type=ee}},metadata:Z},P,A),ke(this,null,J,{kind:"accessor",name:"lightTheme",static:!1,private:!1,access:{has:S=>"lightTheme"in S,get:S=>S.lightTheme,set:(S,ee)=>{S.lightTheme=ee}},metadata:Z},oe,ne),ke(null,t={value:e},i,{kind:"class",name:e.name,metadata:Z},null,s),ve=e=t.value,Z&&Object.defineProperty(e,Symbol.metadata,{enumerable:!0,configurable:!0,writable:!0,value:Z})}static styles=U`
		:host {
			display: grid;
			height: -moz-fit-content;
			height: fit-content;
			grid-auto-flow: row;
			grid-row-gap: 0.25rem;
			grid-template-columns: repeat(auto-fill, minmax(100%, 1fr));
			text-indent: 0;
			min-height: 0;
			min-width: 0;
			padding-top: 0.125rem;
			padding-bottom: 0.125rem;
			position: relative;
		}

		:host > * {
			justify-self: start;
			align-self: start;
		}

		.discord-file-attachment-non-visual-media-item-container:hover .discord-button-download-attachment {
			display: block !important;
		}

		.discord-button-download-attachment {
			display: none;
			position: absolute;
			top: -8px;
			right: -8px;
			border-radius: 5px;
			outline: color-mix(in oklab, hsl(220 calc(1 * 6.5%) 18% / 1) 100%, black 0%);
			background-color: color-mix(in oklab, hsl(223 calc(1 * 6.7%) 20.6% / 1) 100%, black 0%);
		}

		.discord-link-download-attachment {
			color: color-mix(in oklab, hsl(215 calc(1 * 8.8%) 73.3% / 1) 100%, black 0%);
			display: flex;
		}

		.discord-icon-download {
			padding: 6px;
		}

		.discord-file-attachment-non-visual-media-item-container {
			margin-top: 8px;
			max-width: 100%;
			display: flex;
			flex-direction: column;
			position: relative;
		}

		.discord-file-attachment-non-visual-media-item {
			width: -moz-fit-content;
			width: fit-content;
			max-width: 100%;
		}

		.discord-file-attachment-mosaic-item-media {
			position: relative;
			max-height: inherit;
			border-radius: 2px;
			width: 100%;
			align-items: center;
			display: flex;
			flex-flow: row nowrap;
			max-width: 100%;
			height: 100%;
		}

		.discord-file-attachment-mosaic-style {
			padding: 16px;
			border-radius: 8px;
			width: 432px;
			max-width: 100%;
			flex: auto;
			border-color: #202020;
			background-color: #282828;

			align-items: center;
			flex-direction: row;
			display: flex;
			box-sizing: border-box;
			letter-spacing: 0;
			border: 1px solid transparent;
		}

		.discord-file-attachment-light-theme.discord-file-attachment-mosaic-style {
			border-color: #f3f3f3;
			background-color: #f9f9f9;
		}

		.discord-file-attachment-icon {
			width: 30px;
			height: 40px;
			margin-right: 8px;
			flex-shrink: 0;
		}

		.discord-file-attachment-inner {
			flex: 1;
			white-space: nowrap;
			text-overflow: ellipsis;
			overflow: hidden;
		}

		.discord-file-attachment-filename-link-wrapper {
			color: #00aff4;
			white-space: nowrap;
			text-overflow: ellipsis;
			overflow: hidden;
		}

		.discord-file-attachment-metadata {
			line-height: 16px;
			font-size: 12px;
			font-weight: 400;
			color: hsl(223 calc(1 * 5.8%) 52.9% / 1);
			margin-right: 8px;
		}
	`;#e=re(this,r,void 0);get name(){return this.#e}set name(Z){this.#e=Z}#t=(re(this,c),re(this,f,void 0));get bytes(){return this.#t}set bytes(Z){this.#t=Z}#i=(re(this,l),re(this,y,void 0));get bytesUnit(){return this.#i}set bytesUnit(Z){this.#i=Z}#s=(re(this,_),re(this,d,void 0));get href(){return this.#s}set href(Z){this.#s=Z}#a=(re(this,n),re(this,V,void 0));get rel(){return this.#a}set rel(Z){this.#a=Z}#r=(re(this,k),re(this,b,void 0));get target(){return this.#r}set target(Z){this.#r=Z}#o=(re(this,u),re(this,P,void 0));get type(){return this.#o}set type(Z){this.#o=Z}#h=(re(this,A),re(this,oe,!1));get lightTheme(){return this.#h}set lightTheme(Z){this.#h=Z}render(){return m`<div class="discord-file-attachment-non-visual-media-item-container">
			<div class="discord-file-attachment-non-visual-media-item">
				<div class="discord-file-attachment-mosaic-item-media">
					<div class=${he({"discord-file-attachment-mosaic-style":!0,"discord-file-attachment-light-theme":this.lightTheme})}>
						${Qi({class:"discord-file-attachment-icon",alt:"Attachment file type: unknown",title:"unknown"})}
						<div class="discord-file-attachment-inner">
							<div class="discord-file-attachment-filename-link-wrapper">
								<discord-link
									href=${q(this.href)}
									rel=${q(this.rel)}
									target=${q(this.target)}
									type=${q(this.type)}
								>
									${this.name}
								</discord-link>
							</div>
							<div class="discord-file-attachment-metadata">
								${this.bytes}${R(this.bytesUnit,()=>m` ${this.bytesUnit}`,()=>null)}
							</div>
						</div>
					</div>
				</div>
			</div>
			<div class="discord-button-download-attachment">
				<a
					class="discord-link-download-attachment"
					aria-label="Download"
					href="${q(this.href)}"
					rel="noreferrer noopener"
					target="_blank"
					role="button"
					tabindex="0"
				>
					${Ji()}
				</a>
			</div>
		</div>`}constructor(){super(...arguments),re(this,ne)}static{re(e,s)}};return ve=e})()});var qo=yr(()=>{fe();Ja();Qa();Xa();Ya();er();tr();ir();sr();rr();or();hr();lr();ur();br()});export default qo();
